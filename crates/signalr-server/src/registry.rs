//! Which connections there are, by what they are asked for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;

use crate::shared::Shared;

/// By the name of a connection.
type ById = HashMap<Arc<str>, Arc<Shared>>;

/// All connections of a hub. No lock of it is held while a connection's is taken; a connection's
/// may be held while one of these is.
#[derive(Default)]
pub(crate) struct Registry {
    /// By token: those that requests may come for.
    tokens: RwLock<HashMap<Box<str>, Arc<Shared>>>,
    /// Those that have made their handshake.
    open: RwLock<ById>,
    groups: RwLock<HashMap<Arc<str>, ById>>,
    users: RwLock<HashMap<Arc<str>, ById>>,
    /// Of those in `tokens`, how many have not had a transport yet.
    unconnected: AtomicUsize,
}

impl Registry {
    /// How many requests may come for.
    pub(crate) fn len(&self) -> usize {
        self.tokens.read().len()
    }

    /// How many have made their handshake.
    pub(crate) fn open_len(&self) -> usize {
        self.open.read().len()
    }

    pub(crate) fn unconnected(&self) -> usize {
        self.unconnected.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, shared: Arc<Shared>) {
        self.unconnected.fetch_add(1, Ordering::Relaxed);
        let token = shared.token.expose().into();
        self.tokens.write().insert(token, shared);
    }

    pub(crate) fn by_token(&self, token: &str) -> Option<Arc<Shared>> {
        self.tokens.read().get(token).cloned()
    }

    /// Whether requests may come for it.
    pub(crate) fn knows(&self, shared: &Shared) -> bool {
        self.tokens.read().contains_key(shared.token.expose())
    }

    /// It has a transport now, its first.
    pub(crate) fn connected(&self) {
        self.unconnected.fetch_sub(1, Ordering::Relaxed);
    }

    /// No requests may come for it any more.
    pub(crate) fn forget(&self, shared: &Shared) {
        let known = self.tokens.write().remove(shared.token.expose());
        if known.is_some_and(|known| known.state().transport.is_none()) {
            self.connected();
        }
        shared.gone.notify_one();
        shared.changed();
    }

    /// It has made its handshake.
    pub(crate) fn open(&self, shared: &Arc<Shared>) {
        let id = Arc::clone(&shared.id);
        self.open.write().insert(id, Arc::clone(shared));
        if let Some(user) = &shared.identity.user {
            add(&self.users, user, shared);
        }
    }

    /// It has ended.
    pub(crate) fn close(&self, shared: &Shared, groups: &[Arc<str>]) {
        self.open.write().remove(&shared.id);
        if let Some(user) = &shared.identity.user {
            remove(&self.users, user, &shared.id);
        }
        for group in groups {
            self.leave(shared, group);
        }
    }

    pub(crate) fn join(&self, shared: &Arc<Shared>, group: &Arc<str>) {
        add(&self.groups, group, shared);
    }

    pub(crate) fn leave(&self, shared: &Shared, group: &str) {
        remove(&self.groups, group, &shared.id);
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<Arc<Shared>> {
        self.open.read().get(id).cloned()
    }

    pub(crate) fn everyone(&self) -> Vec<Arc<Shared>> {
        self.open.read().values().cloned().collect()
    }

    /// Those whom requests may come for.
    pub(crate) fn known(&self) -> Vec<Arc<Shared>> {
        self.tokens.read().values().cloned().collect()
    }

    pub(crate) fn group(&self, group: &str) -> Vec<Arc<Shared>> {
        members(&self.groups, group)
    }

    pub(crate) fn user(&self, user: &str) -> Vec<Arc<Shared>> {
        members(&self.users, user)
    }
}

fn add(table: &RwLock<HashMap<Arc<str>, ById>>, name: &Arc<str>, shared: &Arc<Shared>) {
    let mut table = table.write();
    let members = table.entry(Arc::clone(name)).or_default();
    members.insert(Arc::clone(&shared.id), Arc::clone(shared));
}

fn remove(table: &RwLock<HashMap<Arc<str>, ById>>, name: &str, id: &str) {
    let mut table = table.write();
    if let Some(members) = table.get_mut(name) {
        members.remove(id);
        if members.is_empty() {
            table.remove(name);
        }
    }
}

fn members(table: &RwLock<HashMap<Arc<str>, ById>>, name: &str) -> Vec<Arc<Shared>> {
    let table = table.read();
    table
        .get(name)
        .map(|members| members.values().cloned().collect())
        .unwrap_or_default()
}
