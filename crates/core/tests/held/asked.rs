//! What tests ask for when any command or webhook will do.

use std::time::Duration;

use bytes::Bytes;
use outgate_core::commands::NewCommand;
use outgate_core::webhooks::NewWebhook;

/// A command that lasts an hour.
pub(crate) fn a_command() -> NewCommand {
    NewCommand {
        name: "reboot".to_owned(),
        content_type: String::new(),
        properties: [].into(),
        payload: Bytes::new(),
        lasts: Duration::from_secs(3_600),
    }
}

/// A webhook for everything.
pub(crate) fn a_webhook() -> NewWebhook {
    NewWebhook {
        title: "erp".to_owned(),
        url: "https://erp.example/".to_owned(),
        site: None,
        device: None,
        prefix: None,
        batch: 1,
        after: None,
    }
}
