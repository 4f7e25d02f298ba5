//! One member's way to the hub serves those who have none, and what all need is fetched once.

use ring::digest::{Context, SHA256};

use crate::name::MemberId;

#[cfg(test)]
mod tests;

/// How what is for the hub gets there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// By the member's own way.
    Own,
    /// Through this member.
    Through(MemberId),
    /// Not now: it is to be kept.
    None,
}

/// Where a member gets a file that all of the site need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// From the hub itself, by the way that [`Way`] says.
    Hub,
    /// From this member, which fetches it if it has not.
    Neighbour(MemberId),
}

/// A neighbour that is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct There<'a> {
    pub(crate) id: &'a MemberId,
    pub(crate) rank: (u16, &'a MemberId),
    pub(crate) uplink: bool,
}

/// The way to the hub. Who is asked stays the same as long as it can serve; else it is the
/// coordinator, which then speaks to the hub for all, or the first by rank.
pub(crate) fn way<'a>(
    own: bool,
    current: Option<&MemberId>,
    coordinator: Option<&MemberId>,
    there: impl Iterator<Item = There<'a>>,
) -> Way {
    if own {
        return Way::Own;
    }
    let able = there.filter(|one| one.uplink);
    let choice = able.min_by_key(|one| {
        let is = |other: Option<&MemberId>| other == Some(one.id);
        (!is(current), !is(coordinator), one.rank)
    });
    choice.map_or(Way::None, |one| Way::Through(one.id.clone()))
}

/// Who fetches a file for all: of those who have a way to the hub, itself (`me`) among them where it
/// has one, the one that the file's digest falls to. So different files are fetched by different
/// members, and all who hear the same members ask the same one.
pub(crate) fn source<'a>(
    digest: &[u8],
    me: &MemberId,
    own: bool,
    there: impl Iterator<Item = There<'a>>,
) -> Source {
    let able = there.filter(|one| one.uplink).map(|one| one.id);
    let able = able.chain(own.then_some(me));
    match able.min_by_key(|id| lot(digest, id)) {
        Some(id) if id != me => Source::Neighbour(id.clone()),
        Some(_) | None => Source::Hub,
    }
}

fn lot(digest: &[u8], id: &MemberId) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    context.update(digest);
    context.update(id.as_str().as_bytes());
    context.finish().as_ref().to_vec()
}
