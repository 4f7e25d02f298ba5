//! A client that proves anew who it is (MQTT 5.0, section 4.12.1).

use bytes::Bytes;
use outgate_mqtt::packet::{Auth, Authentication, ReasonCode};

use super::Conversation;
use super::job::Done;
use crate::dialects::mqtt::methods::{Exchange, MAX_STEPS, Step};

impl Conversation<'_> {
    /// The client begins to authenticate anew, or answers a challenge.
    pub(super) fn on_auth(&mut self, auth: Auth) {
        let Some(agreed) = &mut self.agreed else {
            return self.close(ReasonCode::ProtocolError);
        };
        let (mut exchange, steps) = if auth.reason == ReasonCode::ReAuthenticate {
            (agreed.method.begin(), 0)
        } else if let Some(waiting) = agreed.exchange.take() {
            waiting
        } else {
            return self.close(ReasonCode::ProtocolError);
        };
        if steps >= MAX_STEPS {
            return self.close(ReasonCode::NotAuthorized);
        }
        let said = auth.authentication.and_then(|answer| answer.data);
        self.jobs.push(Box::pin(async move {
            let step = exchange.step(said).await;
            Done::Stepped(exchange, steps + 1, step)
        }));
    }

    /// An exchange has gone on. A session is bound to the credential that it came in by, so that
    /// is what has to be shown again.
    pub(super) fn on_stepped(&mut self, exchange: Box<dyn Exchange>, steps: usize, step: Step) {
        let Some(agreed) = &mut self.agreed else {
            return;
        };
        match step {
            Step::Challenge(data) => {
                agreed.exchange = Some((exchange, steps));
                self.say_auth(ReasonCode::ContinueAuthentication, data);
            }
            Step::Proved { identified, data }
                if identified.credential == agreed.identified.credential =>
            {
                self.say_auth(ReasonCode::Success, data);
            }
            Step::Proved { .. } | Step::Refused => self.close(ReasonCode::NotAuthorized),
        }
    }

    fn say_auth(&mut self, reason: ReasonCode, data: Option<Bytes>) {
        let Some(agreed) = &self.agreed else {
            return;
        };
        let method = agreed.authentication.method.clone();
        self.connection.continue_authentication(Auth {
            reason,
            authentication: Some(Authentication { method, data }),
            reason_string: None,
            user_properties: Vec::new(),
        });
    }
}
