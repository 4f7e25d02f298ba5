//! Where the page on site is.

use serde::Serialize;

/// Where the page on site is, and who was kept from it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Page {
    /// Where it is, or should be.
    pub places: Vec<PagePlace>,
    /// How many connections from elsewhere than the local network were turned away since the start.
    pub turned_away: u64,
    /// Where the last of them came from.
    pub last_turned_away: Option<String>,
}

/// A place of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PagePlace {
    /// Which page.
    pub page: PageKind,
    /// The address and port.
    pub address: String,
    /// Why it is not there, if it is not.
    pub trouble: Option<String>,
}

/// Which page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PageKind {
    /// Everything.
    Diagnostics,
    /// The connection alone.
    Connector,
}

impl PageKind {
    /// Its name, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Diagnostics => "diagnostics",
            Self::Connector => "connector",
        }
    }
}
