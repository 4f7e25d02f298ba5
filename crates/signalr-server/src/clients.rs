//! Whom to send to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use outgate_signalr::Protocol;
use outgate_signalr::connection::Frame;
use outgate_signalr::encode::{self, EncodeError};

use crate::Connection;
use crate::arguments::ToArguments;
use crate::hub::Inner;
use crate::shared::Shared;

/// Chooses clients and sends to them:
///
/// ```no_run
/// # fn f(hub: outgate_signalr_server::Hub) -> Result<(), outgate_signalr_server::EncodeError> {
/// hub.clients().all().send("Receive", ("Ada", "hello"))?;
/// hub.clients().group("kitchen").group("bar").except("…id…").send("Order", (7,))?;
/// # Ok(()) }
/// ```
///
/// What is chosen adds up, a client hears a message once however often it is chosen, and who is
/// excepted does not hear it. A message is written once for each protocol and shared by all who
/// hear it.
#[derive(Clone)]
pub struct Clients {
    hub: Arc<Inner>,
    chosen: Chosen,
    except: HashSet<String>,
    only: Option<Filter>,
    key: Option<Arc<str>>,
}

/// Says whether a connection may hear something.
type Filter = Arc<dyn Fn(&Connection) -> bool + Send + Sync>;

#[derive(Clone)]
enum Chosen {
    All,
    Some(Vec<One>),
}

#[derive(Clone)]
enum One {
    Group(String),
    User(String),
    Client(String),
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

impl Clients {
    pub(crate) fn new(hub: Arc<Inner>) -> Self {
        Self {
            hub,
            chosen: Chosen::Some(Vec::new()),
            except: HashSet::new(),
            only: None,
            key: None,
        }
    }

    /// Everyone.
    #[must_use]
    pub fn all(mut self) -> Self {
        self.chosen = Chosen::All;
        self
    }

    /// The members of a group.
    #[must_use]
    pub fn group(self, group: impl Into<String>) -> Self {
        self.and(One::Group(group.into()))
    }

    /// The members of several groups.
    #[must_use]
    pub fn groups<T: Into<String>>(self, groups: impl IntoIterator<Item = T>) -> Self {
        groups.into_iter().fold(self, Self::group)
    }

    /// All connections of a user ([`Identity::user`](crate::Identity::user)).
    #[must_use]
    pub fn user(self, user: impl Into<String>) -> Self {
        self.and(One::User(user.into()))
    }

    /// One connection, by its public name.
    #[must_use]
    pub fn client(self, id: impl Into<String>) -> Self {
        self.and(One::Client(id.into()))
    }

    /// Not this connection.
    #[must_use]
    pub fn except(mut self, id: impl Into<String>) -> Self {
        self.except.insert(id.into());
        self
    }

    /// Only those of the chosen that `filter` lets through.
    #[must_use]
    pub fn only(mut self, filter: impl Fn(&Connection) -> bool + Send + Sync + 'static) -> Self {
        self.only = Some(Arc::new(filter));
        self
    }

    /// The chosen connections, as of now.
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        let chosen = self.chosen().into_iter();
        chosen.map(Connection::new).collect()
    }

    /// What the next message is about: with [`SlowPeer::Conflate`](crate::SlowPeer::Conflate) it
    /// takes the place of an earlier one about the same that a slow client has not taken yet.
    #[must_use]
    pub fn about(mut self, key: impl Into<Arc<str>>) -> Self {
        self.key = Some(key.into());
        self
    }

    fn and(mut self, one: One) -> Self {
        match &mut self.chosen {
            Chosen::All => {}
            Chosen::Some(chosen) => chosen.push(one),
        }
        self
    }

    /// Calls a method of theirs, without waiting for any answer. Gives how many clients it was
    /// put in line for; a client that does not take it in time is treated as
    /// [`Builder::slow_peer`](crate::Builder::slow_peer) says.
    ///
    /// # Errors
    /// An argument has no form in the protocol of one of them; then nobody hears it.
    pub fn send(&self, target: &str, arguments: impl ToArguments) -> Result<usize, EncodeError> {
        let chosen = self.chosen();
        let mut written = Written::default();
        let mut frames = Vec::with_capacity(chosen.len());
        for shared in chosen {
            if let Some(protocol) = shared.protocol() {
                let bytes = written.bytes(protocol, target, &arguments)?;
                frames.push((shared, Frame::news(bytes, self.key.clone())));
            }
        }
        let count = frames.len();
        for (shared, frame) in frames {
            shared.send(frame);
        }
        Ok(count)
    }

    fn chosen(&self) -> Vec<Arc<Shared>> {
        let registry = &self.hub.registry;
        let mut chosen = match &self.chosen {
            Chosen::All => registry.everyone(),
            Chosen::Some(all) if all.len() == 1 => {
                all.iter().flat_map(|one| self.one(one)).collect()
            }
            Chosen::Some(all) => {
                let all = all.iter().flat_map(|one| self.one(one));
                let once: HashMap<_, _> = all.map(|it| (Arc::clone(&it.id), it)).collect();
                once.into_values().collect()
            }
        };
        if !self.except.is_empty() {
            chosen.retain(|shared| !self.except.contains(&*shared.id));
        }
        if let Some(only) = &self.only {
            chosen.retain(|shared| only(&Connection::new(Arc::clone(shared))));
        }
        chosen
    }

    fn one(&self, one: &One) -> Vec<Arc<Shared>> {
        let registry = &self.hub.registry;
        match one {
            One::Group(group) => registry.group(group),
            One::User(user) => registry.user(user),
            One::Client(id) => registry.by_id(id).into_iter().collect(),
        }
    }
}

/// A message in the protocols that somebody wants it in.
#[derive(Default)]
struct Written {
    json: Option<Bytes>,
    message_pack: Option<Bytes>,
}

impl Written {
    fn bytes(
        &mut self,
        protocol: Protocol,
        target: &str,
        arguments: &impl ToArguments,
    ) -> Result<Bytes, EncodeError> {
        let written = match protocol {
            Protocol::Json => &mut self.json,
            Protocol::MessagePack => &mut self.message_pack,
        };
        if let Some(bytes) = written {
            return Ok(bytes.clone());
        }
        let bytes = encode::invocation(protocol, None, target, arguments)?;
        Ok(written.insert(bytes).clone())
    }
}

/// Makes a type whose methods call those of clients, from their signatures. What has a result is
/// asked of one connection, with how long to wait for it:
///
/// ```
/// use std::time::Duration;
///
/// use outgate_signalr_server::{Connection, Hub, HubError, client_methods};
///
/// client_methods! {
///     /// What the chat's clients can be told and asked.
///     pub struct ChatClient {
///         /// Somebody said something.
///         fn received(user: &str, text: &str) = "Received";
///         /// Whether its user wants that.
///         fn confirm(question: &str) -> bool = "Confirm";
///     }
/// }
///
/// # async fn f(hub: Hub, connection: Connection) -> Result<(), HubError> {
/// ChatClient(hub.clients().all()).received("Ada", "hello")?;
/// let patience = Duration::from_secs(30);
/// let wanted: bool = ChatClient::confirm(&connection, "Leave?", patience).await?;
/// # drop(wanted);
/// # Ok(()) }
/// ```
#[macro_export]
macro_rules! client_methods {
    (@method $visibility:vis [$($meta:tt)*] $method:ident($($argument:ident: $type:ty),*) $target:literal) => {
        $($meta)*
        ///
        /// # Errors
        /// An argument has no form in the protocol of one of the clients.
        $visibility fn $method(&self, $($argument: $type),*) -> Result<usize, $crate::EncodeError> {
            self.0.send($target, ($($argument,)*))
        }
    };
    (@method $visibility:vis [$($meta:tt)*] $method:ident($($argument:ident: $type:ty),*) $target:literal $result:ty) => {
        $($meta)*
        ///
        /// # Errors
        /// There is no answer, or not one of that type.
        $visibility async fn $method(
            connection: &$crate::Connection,
            $($argument: $type,)*
            patience: ::std::time::Duration,
        ) -> Result<$result, $crate::InvokeError> {
            connection.invoke($target, ($($argument,)*), patience).await
        }
    };
    (
        $(#[$outer:meta])*
        $visibility:vis struct $name:ident {
            $($(#[$inner:meta])* fn $method:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? = $target:literal;)*
        }
    ) => {
        $(#[$outer])*
        #[derive(Debug, Clone)]
        $visibility struct $name($visibility $crate::Clients);

        impl $name {
            $(
                $crate::client_methods! {
                    @method $visibility [$(#[$inner])*] $method($($argument: $type),*) $target $($result)?
                }
            )*
        }
    };
}
