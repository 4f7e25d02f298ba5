//! What is asked for, by method and query.

use percent_encoding::percent_decode_str;

use super::blocks::{BlockId, Listed};
use super::problem::Problem;
use super::sas::{Permission, QUERY_MAX_BYTES};

/// What is to be done with a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `PUT`: the body is the blob.
    PutBlob,
    /// `PUT ?comp=block&blockid=…`: the body is a block of it.
    PutBlock(BlockId),
    /// `PUT ?comp=blocklist`: the body says of which blocks the blob is made.
    PutBlockList,
    /// `GET ?comp=blocklist&blocklisttype=…`: which blocks there are.
    GetBlockList(Listed),
    /// `GET`: what is in it.
    GetBlob,
    /// `HEAD`: what is known of it.
    GetProperties,
    /// `DELETE`: it is to go.
    Delete,
}

impl Operation {
    /// Reads what is asked for. What else stands in the query is passed over.
    ///
    /// # Errors
    /// The problem that the asker is told: what is asked for is not done here, or is no question.
    pub fn parse(method: &str, query: &str) -> Result<Self, Problem> {
        if query.len() > QUERY_MAX_BYTES {
            return Err(Problem::InvalidQueryParameterValue);
        }
        let (mut comp, mut block, mut listed) = (None, None, None);
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match name {
                "comp" => &mut comp,
                "blockid" => &mut block,
                "blocklisttype" => &mut listed,
                // Of the past of a blob nothing is kept; and only blobs are served.
                "snapshot" | "versionid" | "restype" => {
                    return Err(Problem::UnsupportedQueryParameter);
                }
                _ => continue,
            };
            let value = percent_decode_str(value).decode_utf8();
            let value = value.map_err(|_| Problem::InvalidQueryParameterValue)?;
            if place.replace(value).is_some() {
                return Err(Problem::InvalidQueryParameterValue);
            }
        }
        match (method, comp.as_deref()) {
            ("PUT", None) => Ok(Self::PutBlob),
            ("PUT", Some("block")) => {
                let block = block.ok_or(Problem::MissingRequiredQueryParameter)?;
                let block = block.parse();
                Ok(Self::PutBlock(
                    block.map_err(|_| Problem::InvalidQueryParameterValue)?,
                ))
            }
            ("PUT", Some("blocklist")) => Ok(Self::PutBlockList),
            ("GET", Some("blocklist")) => Ok(Self::GetBlockList(match listed.as_deref() {
                None | Some("committed") => Listed::Committed,
                Some("uncommitted") => Listed::Uncommitted,
                Some("all") => Listed::All,
                Some(_) => return Err(Problem::InvalidQueryParameterValue),
            })),
            ("GET", None) => Ok(Self::GetBlob),
            ("HEAD", None) => Ok(Self::GetProperties),
            ("DELETE", None) => Ok(Self::Delete),
            ("PUT" | "GET" | "HEAD" | "DELETE", Some(_)) => Err(Problem::UnsupportedQueryParameter),
            _ => Err(Problem::UnsupportedHttpVerb),
        }
    }

    /// What a signature must let do for it.
    #[must_use]
    pub fn needs(&self) -> Permission {
        match self {
            Self::PutBlob => Permission::Create,
            // A writer who was cut off asks what has come, and can read nothing by that.
            Self::PutBlock(_) | Self::PutBlockList | Self::GetBlockList(Listed::Uncommitted) => {
                Permission::Create
            }
            Self::GetBlockList(Listed::Committed | Listed::All)
            | Self::GetBlob
            | Self::GetProperties => Permission::Read,
            Self::Delete => Permission::Delete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(method: &str, query: &str, expected: Result<Operation, Problem>) {
        let read = Operation::parse(method, query);
        assert_eq!(read, expected, "{method} ?{query}");
    }

    #[test]
    fn what_azure_s_sdks_ask_for_is_read() {
        let block = |id: &str| Ok(Operation::PutBlock(id.parse().unwrap()));
        let listed = |which| Ok(Operation::GetBlockList(which));
        check("PUT", "sv=2026-10-06&sig=a", Ok(Operation::PutBlob));
        check(
            "PUT",
            "comp=block&blockid=QUFBQQ%3D%3D&sv=1",
            block("QUFBQQ=="),
        );
        check("PUT", "blockid=AAAA&comp=block", block("AAAA"));
        check("PUT", "comp=blocklist", Ok(Operation::PutBlockList));
        check("GET", "comp=blocklist", listed(Listed::Committed));
        let all = "comp=blocklist&blocklisttype=all";
        check("GET", all, listed(Listed::All));
        check("GET", "", Ok(Operation::GetBlob));
        check("HEAD", "sig=a", Ok(Operation::GetProperties));
        check("DELETE", "", Ok(Operation::Delete));
    }

    #[test]
    fn what_is_not_done_here_is_refused_and_said() {
        let value = Err(Problem::InvalidQueryParameterValue);
        let unsupported = Err(Problem::UnsupportedQueryParameter);
        let missing = Err(Problem::MissingRequiredQueryParameter);
        check("PUT", "comp=block", missing);
        check("PUT", "comp=block&blockid=%00", value.clone());
        check("PUT", "comp=block&comp=block", value.clone());
        check("GET", "comp=blocklist&blocklisttype=x", value);
        check("PUT", "comp=appendblock", unsupported.clone());
        check("GET", "restype=container&comp=list", unsupported.clone());
        check("GET", "snapshot=2026", unsupported);
        check("POST", "", Err(Problem::UnsupportedHttpVerb));
        check("OPTIONS", "comp=block", Err(Problem::UnsupportedHttpVerb));
    }

    proptest! {
        #[test]
        fn any_query_is_read_or_refused(method in "PUT|GET|HEAD|DELETE|[A-Z]{1,9}", query in any::<String>()) {
            let _ = Operation::parse(&method, &query);
        }
    }
}
