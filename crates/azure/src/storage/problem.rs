//! The words in which Azure's storage says why something was not done (Microsoft's "Status and error
//! codes").

/// Declares the problems.
macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident $status:literal $message:literal,)*) => {
        /// Why something was not done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Problem {
            $($(#[$doc])* $name,)*
        }

        impl Problem {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word for it, which programs go by.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The status of HTTP that goes with it.
            #[must_use]
            pub fn status(self) -> u16 {
                match self {
                    $(Self::$name => $status,)*
                }
            }

            /// What it says to people.
            #[must_use]
            pub fn message(self) -> &'static str {
                match self {
                    $(Self::$name => $message,)*
                }
            }
        }
    };
}

problems!(
    /// The signature is missing, tampered with, over, or of another blob; or it was revoked.
    AuthenticationFailed 403 "Server failed to authenticate the request. Make sure the address \
        has a signature that is whole and whose time is not over.",
    /// The signature does not let do this.
    AuthorizationPermissionMismatch 403 "This request is not authorized to perform this operation \
        using this permission.",
    /// The signature lets make a blob, and there is one.
    UnauthorizedBlobOverwrite 403 "This request is not authorized to perform blob overwrites.",
    /// It is for other addresses than the asker's.
    AuthorizationSourceIPMismatch 403 "This request is not authorized to perform this operation \
        using this source IP.",
    /// There is no such blob.
    BlobNotFound 404 "The specified blob does not exist.",
    /// There is one, and there was to be none.
    BlobAlreadyExists 409 "The specified blob already exists.",
    /// A condition does not hold.
    ConditionNotMet 412 "The condition specified using HTTP conditional header(s) is not met.",
    /// There are no such bytes.
    InvalidRange 416 "The range specified is invalid for the current size of the resource.",
    /// More bytes were to be hashed than are.
    OutOfRangeInput 400 "One of the request inputs is out of range.",
    /// A block of the list is not there.
    InvalidBlockList 400 "The specified block list is invalid.",
    /// Names of blocks are of different lengths.
    InvalidBlobOrBlock 400 "The specified blob or block content is invalid.",
    /// The list has too many blocks.
    BlockListTooLong 400 "The block list may not contain more than 50,000 blocks.",
    /// Too many blocks have come and are in no blob.
    BlockCountExceedsLimit 409 "The uncommitted block count cannot exceed the maximum limit.",
    /// The body is too large.
    RequestBodyTooLarge 413 "The request body is too large and exceeds the maximum permissible \
        limit.",
    /// It does not say how large its body is.
    MissingContentLengthHeader 411 "The content length header was not specified.",
    /// A header is missing.
    MissingRequiredHeader 400 "An HTTP header that's mandatory for this request is not specified.",
    /// A header asks for something that is not done here.
    UnsupportedHeader 400 "One of the HTTP headers specified in the request is not supported.",
    /// A header's value is none.
    InvalidHeaderValue 400 "The value for one of the HTTP headers is not in the correct format.",
    /// A part of the query is missing.
    MissingRequiredQueryParameter 400 "A query parameter that's mandatory for this request is not \
        specified.",
    /// A part of the query is none.
    InvalidQueryParameterValue 400 "Value for one of the query parameters specified in the request \
        URI is invalid.",
    /// A part of the query asks for something that is not done here.
    UnsupportedQueryParameter 400 "One of the query parameters specified in the request URI is not \
        supported.",
    /// The method asks for something that is not done here.
    UnsupportedHttpVerb 405 "The resource doesn't support the specified HTTP verb.",
    /// The name of the blob is none.
    InvalidUri 400 "The requested URI does not represent any resource on the server.",
    /// It is to be another kind of blob.
    InvalidBlobType 409 "The blob type is invalid for this operation.",
    /// The MD5 is none.
    InvalidMd5 400 "The MD5 value specified in the request is invalid. The MD5 value must be 128 \
        bits and Base64-encoded.",
    /// The MD5 is another.
    Md5Mismatch 400 "The MD5 value specified in the request did not match with the MD5 value \
        calculated by the server.",
    /// The body is no XML, or not that which is asked for.
    InvalidXmlDocument 400 "XML specified is not syntactically valid.",
    /// Not as many bytes came as were said to.
    IncompleteBody 400 "The request's body ended before all of it had come.",
    /// The device has as many bytes or files as it may have. No word of Azure's.
    QuotaExceeded 409 "The device's files are as many or as large as they may be.",
    /// The disk is full. No word of Azure's.
    InsufficientStorage 507 "The server's disk is full. The request can be sent again once there \
        is room.",
    /// Too much at once.
    ServerBusy 503 "The server is busy.",
    /// It comes too slowly.
    OperationTimedOut 500 "The operation could not be completed within the permitted time.",
    /// Something of the server's own.
    InternalError 500 "The server encountered an internal error. Please retry the request.",
);

impl Problem {
    /// The answer's body, for a request that is called `id`, at `date`.
    #[must_use]
    pub fn document(self, id: &str, date: &str) -> String {
        let (code, message) = (self.code(), quick_xml::escape::escape(self.message()));
        let (id, date) = (
            quick_xml::escape::escape(id),
            quick_xml::escape::escape(date),
        );
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code>\
             <Message>{message}\nRequestId:{id}\nTime:{date}</Message></Error>"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_as_azure_does() {
        let document = Problem::BlobNotFound.document("<1>", "now");
        assert_eq!(
            document,
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>BlobNotFound</Code><Message>\
             The specified blob does not exist.\nRequestId:&lt;1&gt;\nTime:now</Message></Error>"
        );
    }

    #[test]
    fn each_problem_has_a_status_of_an_error_and_says_something() {
        for problem in Problem::ALL {
            assert!((400..600).contains(&problem.status()), "{problem:?}");
            assert!(problem.message().ends_with('.'), "{problem:?}");
            assert!(!problem.message().contains("  "), "{problem:?}");
        }
    }
}
