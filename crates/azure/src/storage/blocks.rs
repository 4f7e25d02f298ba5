//! Blocks of a blob, and lists of them (Microsoft's "Put Block List" and "Get Block List").

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::events::Event;
use quick_xml::reader::Reader;

/// The most blocks of a blob.
pub const MAX_BLOCKS: usize = 50_000;

/// The most bytes of a block's name, before it is encoded.
pub const MAX_ID: usize = 64;

/// The most bytes of a list: so many names of that length, each in an element of its own with white
/// space around it.
pub const MAX_LIST_BYTES: usize = MAX_BLOCKS * 160;

/// What a writer calls a block: base 64 of at most [`MAX_ID`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId(String);

/// Where a block of a new list is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Among those of the blob as it is.
    Committed,
    /// Among those that have come since.
    Uncommitted,
    /// Among the latter, then among the former.
    Latest,
}

/// What one may have listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// The blocks of the blob as it is.
    Committed,
    /// Those that have come since.
    Uncommitted,
    /// Both.
    All,
}

/// Why a text is no list or no name of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// The name is not base 64, empty or too long.
    #[error("a block's name is base 64 of 1 to {MAX_ID} bytes")]
    Id,
    /// It is no XML, or not that of a list.
    #[error("it is not the XML of a block list")]
    List,
    /// There are too many of them.
    #[error("it has more than {MAX_BLOCKS} blocks")]
    TooMany,
}

impl BlockId {
    /// The name as its writer sends it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BlockId {
    type Err = BlockError;

    fn from_str(text: &str) -> Result<Self, BlockError> {
        // Before it is decoded: four letters for each three bytes.
        if text.len() > MAX_ID.div_ceil(3) * 4 {
            return Err(BlockError::Id);
        }
        let bytes = STANDARD.decode(text).map_err(|_| BlockError::Id)?;
        if bytes.is_empty() || bytes.len() > MAX_ID {
            return Err(BlockError::Id);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the list of which a blob is to be made, in order.
///
/// # Errors
/// [`BlockError`].
pub fn parse_list(text: &str) -> Result<Vec<(Place, BlockId)>, BlockError> {
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let mut blocks = Vec::new();
    let mut reading = Reading::Before;
    loop {
        let event = reader.read_event().map_err(|_| BlockError::List)?;
        reading = match (reading, event) {
            (Reading::Before, Event::Decl(_)) => Reading::Before,
            (Reading::Before, Event::Start(start))
                if start.local_name().as_ref() == "BlockList" =>
            {
                Reading::Between
            }
            (Reading::Before, Event::Empty(start))
                if start.local_name().as_ref() == "BlockList" =>
            {
                Reading::After
            }
            (Reading::Between, Event::Start(start)) => {
                Reading::Block(place(start.local_name().as_ref())?, String::new())
            }
            (Reading::Block(place, mut name), Event::Text(text)) => {
                // A longer one is refused below, whatever more of it there is.
                name.extend(text.chars().take(MAX_ID * 2));
                Reading::Block(place, name)
            }
            (Reading::Block(place, name), Event::End(_)) => {
                if blocks.len() >= MAX_BLOCKS {
                    return Err(BlockError::TooMany);
                }
                blocks.push((place, name.trim().parse()?));
                Reading::Between
            }
            (Reading::Between, Event::End(_)) => Reading::After,
            (Reading::After, Event::Eof) => return Ok(blocks),
            (
                reading @ (Reading::Before | Reading::Between | Reading::After),
                Event::Text(text),
            ) if text.trim().is_empty() => reading,
            _ => return Err(BlockError::List),
        };
    }
}

/// Where in a list its reader is.
enum Reading {
    Before,
    Between,
    Block(Place, String),
    After,
}

fn place(name: &str) -> Result<Place, BlockError> {
    match name {
        "Committed" => Ok(Place::Committed),
        "Uncommitted" => Ok(Place::Uncommitted),
        "Latest" => Ok(Place::Latest),
        _ => Err(BlockError::List),
    }
}

/// The answer to who asks which blocks there are, each a name and how many bytes it has. What was
/// not asked for is not there.
#[must_use]
pub fn write_list(
    committed: Option<&[(BlockId, u64)]>,
    uncommitted: Option<&[(BlockId, u64)]>,
) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
    for (name, blocks) in [
        ("CommittedBlocks", committed),
        ("UncommittedBlocks", uncommitted),
    ] {
        let Some(blocks) = blocks else {
            continue;
        };
        text += &format!("<{name}>");
        for (id, size) in blocks {
            // There is nothing in base 64 that would have to be quoted.
            text += &format!("<Block><Name>{id}</Name><Size>{size}</Size></Block>");
        }
        text += &format!("</{name}>");
    }
    text + "</BlockList>"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_list_is_read_as_azure_s_sdks_write_it() {
        // For Python, and for Node.
        for text in [
            "<?xml version='1.0' encoding='utf-8'?>\n<BlockList><Latest>AAAA</Latest>\
             <Committed>AAAB</Committed>\n <Uncommitted>AAAC</Uncommitted></BlockList>",
            "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?><BlockList>\
             <Latest>AAAA</Latest><Committed> AAAB </Committed><Uncommitted>AAAC</Uncommitted>\
             </BlockList>",
        ] {
            let list = parse_list(text).unwrap();
            let list: Vec<_> = list
                .iter()
                .map(|(place, id)| (*place, id.as_str()))
                .collect();
            let expected = [
                (Place::Latest, "AAAA"),
                (Place::Committed, "AAAB"),
                (Place::Uncommitted, "AAAC"),
            ];
            assert_eq!(list, expected);
        }
        assert_eq!(parse_list("<BlockList/>"), Ok(Vec::new()));
        assert_eq!(parse_list("<BlockList></BlockList>"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in [
            "",
            "AAAA",
            "<BlockList>",
            "<BlockList><Latest>AAAA</BlockList>",
            "<BlockList><Other>AAAA</Other></BlockList>",
            "<BlockList><Latest><b/>AAAA</Latest></BlockList>",
            "<BlockList>AAAA</BlockList>",
            "<BlockList/><BlockList/>",
            "<!DOCTYPE a [<!ENTITY b \"AAAA\">]><BlockList><Latest>&b;</Latest></BlockList>",
            "<List><Latest>AAAA</Latest></List>",
        ] {
            assert_eq!(parse_list(text), Err(BlockError::List), "{text}");
        }
        for id in ["", "a", "AA A", "../x", &"A".repeat(92)] {
            let text = format!("<BlockList><Latest>{id}</Latest></BlockList>");
            assert_eq!(parse_list(&text), Err(BlockError::Id), "{id}");
        }
        let many = "<Latest>AAAA</Latest>".repeat(MAX_BLOCKS + 1);
        let many = format!("<BlockList>{many}</BlockList>");
        assert!(many.len() < MAX_LIST_BYTES);
        assert_eq!(parse_list(&many), Err(BlockError::TooMany));
    }

    #[test]
    fn what_there_is_is_listed() {
        let blocks = [("AAAA".parse().unwrap(), 5)];
        assert_eq!(
            write_list(None, Some(&blocks)),
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList><UncommittedBlocks><Block>\
             <Name>AAAA</Name><Size>5</Size></Block></UncommittedBlocks></BlockList>"
        );
        assert!(write_list(Some(&[]), None).contains("<CommittedBlocks></CommittedBlocks>"));
    }

    proptest! {
        #[test]
        fn a_list_that_is_written_is_read(
            ids in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..=MAX_ID), 0..20),
        ) {
            let ids: Vec<_> = ids.iter().map(|id| STANDARD.encode(id)).collect();
            let blocks: String = ids.iter().map(|id| format!("<Latest>{id}</Latest>")).collect();
            let list = parse_list(&format!("<BlockList>{blocks}</BlockList>")).unwrap();
            let read: Vec<_> = list.into_iter().map(|(_, id)| id.to_string()).collect();
            prop_assert_eq!(read, ids);
        }

        #[test]
        fn any_text_is_read_or_refused(text in any::<String>()) {
            let _ = parse_list(&text);
            let _ = parse_list(&format!("<BlockList>{text}</BlockList>"));
        }
    }
}
