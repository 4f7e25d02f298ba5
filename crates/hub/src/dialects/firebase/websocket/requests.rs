//! What a client asks for over its WebSocket.

use std::sync::Arc;

use outgate_core::Refusal;
use outgate_core::secret::Secret;
use outgate_core::sessions::Pass;
use outgate_firebase::database::{Listen, Write};
use outgate_firebase::draft::DraftError;
use outgate_firebase::frame::Pieces;
use outgate_firebase::path::PathError;
use outgate_firebase::query::QueryError;
use outgate_firebase::rules::Verb;
use outgate_firebase::session::TooMany;
use outgate_firebase::wire::{self, Credential, OnDisconnect, Proof, Request, Status};
use outgate_firebase::{Draft, Form, Path, Query};
use serde_json::Value;

use super::{Conversation, End};
use crate::dialects::firebase::login::Login;
use crate::dialects::firebase::namespace::{Answer, Order, Reply, What};
use crate::dialects::login::{Shown, anyone};

/// What is told to whoever may not.
const DENIED: &str = "Permission denied";

/// Why a request is answered without being done.
struct No(Status, String);

impl Conversation<'_> {
    /// Does what a request asks, of so many bytes, or says why not.
    pub(super) async fn request(
        &mut self,
        number: u64,
        request: Request,
        bytes: usize,
    ) -> Result<(), End> {
        let what = match self.understood(request, bytes).await? {
            Ok(Some(what)) => what,
            Ok(None) => {
                self.tell(wire::answer(number, Status::Done, "\"\""));
                return Ok(());
            }
            Err(No(status, why)) => {
                self.tell(wire::answer_with(number, status, &why));
                return Ok(());
            }
        };
        let Some(login) = self.party.login() else {
            self.tell(wire::answer_with(number, Status::Denied, DENIED));
            return Ok(());
        };
        let pass = login.session.pass();
        if let Err(refusal) = self.party.unless_over(self.turn(&pass, &what)).await? {
            self.tell(Answer::Refusal(refusal).to_message(number));
            return Ok(());
        }
        let firebase = self.party.firebase;
        let ordering = async {
            let room = firebase.room(bytes).await;
            let reply = Reply::Message(Arc::clone(&self.party.outbox), number);
            let order = Order {
                pass: Some(pass),
                what,
                reply,
                _room: room,
            };
            self.namespace.order(order).await;
        };
        self.party.unless_over(ordering).await
    }

    /// Waits until it may be done: what comes too often is held up.
    async fn turn(&self, pass: &Pass, what: &What) -> Result<(), Refusal> {
        let core = self.party.firebase.core();
        loop {
            let turn = match what {
                What::Write { .. } => core.messages.may_send(pass),
                What::Listen { .. } | What::Get { .. } => core.messages.may_subscribe(pass),
                What::Forget { .. } => Ok(()),
            };
            match turn {
                Err(Refusal::Limited { retry_after, .. }) => tokio::time::sleep(retry_after).await,
                turn => return turn,
            }
        }
    }

    /// What the database is to do; nothing when it has been done here.
    async fn understood(
        &mut self,
        request: Request,
        bytes: usize,
    ) -> Result<Result<Option<What>, No>, End> {
        let understood = match request {
            Request::LogIn(proof, credential) => return self.log_in(proof, &credential).await,
            Request::LogOut(proof) => {
                self.become_somebody(proof, None).await?;
                Ok(None)
            }
            Request::Statistics => Ok(None),
            Request::Unknown => Err(No(Status::Invalid, "unknown action".to_owned())),
            Request::Listen {
                path,
                query,
                tag,
                hash,
            } => self.listen(&path, query, tag, hash),
            Request::Unlisten { path, tag } => self.unlisten(&path, tag),
            Request::Get { path, query } => self.get(&path, &query),
            Request::Put { path, data, hash } => {
                let part = Draft::read_at(&path, &data);
                self.write(part.map(|part| vec![part]), &path, hash)
            }
            Request::Merge { path, data, hash } => {
                self.write(Draft::read_merge(&path, &data), &path, hash)
            }
            Request::OnDisconnect { path, what } => self.leave_behind(&path, what, bytes),
        };
        Ok(understood)
    }

    fn may(&self, verb: Verb, path: &Path) -> Result<(), No> {
        let rules = self.party.firebase.rules();
        let login = self.party.login();
        if login.is_some_and(|login| rules.allow(&login.who, verb, path)) {
            Ok(())
        } else {
            Err(No(Status::Denied, DENIED.to_owned()))
        }
    }

    fn listen(
        &mut self,
        path: &str,
        asked: Value,
        tag: Option<u64>,
        hash: String,
    ) -> Result<Option<What>, No> {
        let (path, query) = (Path::read(path)?, Query::read(&asked)?);
        self.may(Verb::Read, &path)?;
        self.session.listen(path.clone(), tag, asked)?;
        let outbox = Arc::clone(&self.party.outbox);
        let listen = Listen {
            by: outbox.number,
            tag,
            query,
            form: Form::Exact,
        };
        Ok(Some(What::Listen {
            outbox,
            path,
            listen,
            known: Some(hash),
        }))
    }

    fn unlisten(&mut self, path: &str, tag: Option<u64>) -> Result<Option<What>, No> {
        let path = Path::read(path)?;
        self.session.unlisten(&path, tag);
        Ok(Some(self.forget(vec![(path, tag)])))
    }

    fn forget(&self, listens: Vec<(Path, Option<u64>)>) -> What {
        What::Forget {
            by: self.party.outbox.number,
            listens,
            gone: false,
        }
    }

    fn get(&self, path: &str, query: &Value) -> Result<Option<What>, No> {
        let (path, query) = (Path::read(path)?, Query::read(query)?);
        self.may(Verb::Read, &path)?;
        Ok(Some(What::Get {
            path,
            query,
            form: Form::Exact,
            shallow: false,
            hashed: false,
        }))
    }

    fn write(
        &self,
        parts: Result<Vec<(Path, Draft)>, DraftError>,
        path: &str,
        hash: Option<String>,
    ) -> Result<Option<What>, No> {
        let parts = parts?;
        parts
            .iter()
            .try_for_each(|(path, _)| self.may(Verb::Write, path))?;
        let expected = match hash {
            Some(hash) => {
                let path = Path::read(path)?;
                // Whether something stands there is something that not everybody may know.
                self.may(Verb::Read, &path)?;
                Some((path, hash))
            }
            None => None,
        };
        let write = Write { parts, expected };
        let returns = false;
        Ok(Some(What::Write { write, returns }))
    }

    fn leave_behind(
        &mut self,
        path: &str,
        what: OnDisconnect,
        bytes: usize,
    ) -> Result<Option<What>, No> {
        let parts = match what {
            OnDisconnect::Put(data) => vec![Draft::read_at(path, &data)?],
            OnDisconnect::Merge(data) => Draft::read_merge(path, &data)?,
            OnDisconnect::Cancel => {
                self.session.cancel(&Path::read(path)?);
                return Ok(None);
            }
        };
        parts
            .iter()
            .try_for_each(|(path, _)| self.may(Verb::Write, path))?;
        self.session.leave(parts, bytes)?;
        Ok(None)
    }

    async fn log_in(
        &mut self,
        proof: Proof,
        credential: &Credential,
    ) -> Result<Result<Option<What>, No>, End> {
        let firebase = self.party.firebase;
        let token = Secret::new(credential.expose().as_bytes().to_vec());
        let (core, facts) = (firebase.core(), &self.facts);
        let login = async {
            let identified = anyone(core, Shown::Token(&token), facts).await?;
            Login::of(core, &identified, facts).await
        };
        match self.party.unless_over(login).await? {
            Ok(login) => {
                // From now on larger requests are taken.
                self.pieces = Pieces::new(firebase.settings.request_bytes);
                self.become_somebody(proof, Some(login)).await?;
                Ok(Ok(None))
            }
            Err(refusal) => {
                // Anybody may bring this about as often as they like.
                tracing::debug!(error = %refusal, peer = %self.facts.peer.ip(), "a login failed");
                firebase.state.metrics.login_refused(super::VIA);
                self.become_somebody(proof, None).await?;
                Ok(Err(No(Status::InvalidToken, refusal.to_string())))
            }
        }
    }

    /// The client is somebody else from now on: what that one may not hear it hears no more, and
    /// what the other left to be written is not written.
    async fn become_somebody(&mut self, proof: Proof, login: Option<Login>) -> Result<(), End> {
        let before = self.party.login().map(|login| login.who.clone());
        self.party.set(proof, login);
        let now = self.party.login().map(|login| login.who.clone());
        self.session.on_login(now.is_some(), self.uptime());
        if before == now || before.is_none() {
            return Ok(());
        }
        self.session.cancel(&Path::root());
        let listens = self.session.listens();
        let lost = listens.filter(|(path, ..)| self.may(Verb::Read, path).is_err());
        let lost = lost.map(|(path, tag, query)| (path.clone(), tag, query.clone()));
        let lost: Vec<_> = lost.collect();
        for (path, tag, query) in &lost {
            self.session.unlisten(path, *tag);
            self.tell(wire::revoked(&path.to_string(), query));
        }
        let lost = lost.into_iter().map(|(path, tag, _)| (path, tag));
        let forget = self.forget(lost.collect());
        self.party.unless_over(self.namespace.forget(forget)).await
    }
}

impl From<PathError> for No {
    fn from(error: PathError) -> Self {
        Self(Status::Invalid, error.to_string())
    }
}

impl From<QueryError> for No {
    fn from(error: QueryError) -> Self {
        Self(Status::Invalid, error.to_string())
    }
}

impl From<DraftError> for No {
    fn from(error: DraftError) -> Self {
        Self(Status::Invalid, error.to_string())
    }
}

impl From<TooMany> for No {
    fn from(error: TooMany) -> Self {
        Self(Status::TooBig, error.to_string())
    }
}
