//! What holds now: limits and policies. Taken up anew together, while connections go on.

use std::sync::Arc;

use arc_swap::ArcSwap;
use outgate_mqtt::connection::Limits;
use outgate_mqtt::text::Text;

use super::policies::{Policies, PolicyError};
use super::settings::Settings;

/// What holds now. What a client was told in its CONNACK holds for its connection all the same.
#[derive(Debug)]
pub struct Rules {
    pub(super) settings: Settings,
    pub(super) policies: Policies,
    /// The limits of one connection.
    pub(super) limits: Arc<Limits>,
}

/// Where everybody finds the rules that hold now.
pub(super) type Current = Arc<ArcSwap<Rules>>;

impl Rules {
    /// Rules as they are configured.
    ///
    /// # Errors
    /// The first mistake in a policy.
    pub fn new(settings: Settings) -> Result<Self, PolicyError> {
        Ok(Self {
            policies: Policies::new(&settings.policies, &settings.aws.policies)?,
            limits: Arc::new(settings.limits()),
            settings,
        })
    }

    /// Where clients are sent when this hub goes down, if anywhere.
    pub(super) fn elsewhere(&self) -> Option<Text> {
        self.settings.server_reference.as_deref().map(Text::lossy)
    }
}
