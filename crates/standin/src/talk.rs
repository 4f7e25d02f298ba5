//! Servers that say little: who they are (SSH), what they offer (XMPP), what they are (LDAP).

use std::{net::SocketAddr, sync::Arc, time::Duration};

use outgate_wire::{
    ldap::{self, Request},
    ssh, xmpp,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time,
};

use crate::{
    Place, Stage, StageError,
    listen::{self, MAX_SILENCE},
    stage::listen as listen_at,
    tls::{self, Door},
};

/// The longest that a peer may leave an answer unread.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// The most that a peer may say without being understood, in bytes.
const MAX_HEARD: usize = 4096;

const SSH: &[u8] = b"SSH-2.0-outgate_standin\r\n";
const XMPP_HEADER: &str = "<?xml version='1.0'?><stream:stream version='1.0' id='1' \
    xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
const XMPP_OFFER: &str = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>\
    <required/></starttls></stream:features>";
const XMPP_LOGINS: &str = "<stream:features><mechanisms \
    xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-256</mechanism></mechanisms>\
    </stream:features>";
const XMPP_PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

/// Says who it is, and once it has heard who asks which algorithms it knows; and then listens.
pub(crate) async fn serve_ssh(listener: TcpListener) {
    listen::serve_each(listener, |mut stream| async move {
        let mut heard = Vec::new();
        if !say(&mut stream, SSH).await {
            return;
        }
        // Whoever asks may have said more by then.
        while !heard.contains(&b'\n') {
            if !hear(&mut stream, &mut heard).await {
                return;
            }
        }
        if say(&mut stream, &ssh::algorithms([0; ssh::COOKIE_LEN])).await {
            listen::hold_silently(stream).await;
        }
    })
    .await;
}

/// Shows its root DSE to everybody.
pub(crate) async fn serve_ldap(listener: TcpListener) {
    listen::serve_each(listener, ldap_session).await;
}

/// The same over TLS.
pub(crate) async fn serve_ldaps(listener: TcpListener, door: Arc<Door>) {
    listen::serve_each(listener, move |stream| {
        let door = door.clone();
        async move {
            if let Some(stream) = tls::secured(stream, &door).await {
                ldap_session(stream).await;
            }
        }
    })
    .await;
}

impl Stage {
    /// Starts XMPP that does not speak of TLS, as it looks behind somebody who strips the offer.
    ///
    /// # Errors
    /// The place is taken.
    pub async fn xmpp_in_the_clear(&mut self, place: Place) -> Result<SocketAddr, StageError> {
        let (listener, address) = listen_at(place).await?;
        let serving = listen::serve_each(listener, |mut stream| async move {
            let mut heard = Vec::new();
            if hear_until(&mut stream, &mut heard, ">").await {
                let offer = format!("{XMPP_HEADER}{XMPP_LOGINS}");
                if say(&mut stream, offer.as_bytes()).await {
                    listen::hold_silently(stream).await;
                }
            }
        });
        self.servers.spawn(serving);
        Ok(address)
    }
}

/// Changes to TLS and offers a login that nobody can have.
pub(crate) async fn serve_xmpp(listener: TcpListener, door: Arc<Door>) {
    listen::serve_each(listener, move |stream| xmpp_session(stream, door.clone())).await;
}

async fn ldap_session(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut heard = Vec::new();
    while hear(&mut stream, &mut heard).await {
        while let Ok(Some((id, request, length))) = Request::read(&heard) {
            heard.drain(..length);
            let Ok(id) = u8::try_from(id) else { return };
            match request {
                Request::Search => {
                    let answer = ldap::root_dse(id, &[("supportedLDAPVersion", &["3"])]);
                    if !say(&mut stream, &answer).await {
                        return;
                    }
                }
                Request::Unbind => return,
                Request::Other => {}
            }
        }
    }
}

async fn xmpp_session(mut stream: TcpStream, door: Arc<Door>) {
    let mut heard = Vec::new();
    if !hear_until(&mut stream, &mut heard, ">").await
        || !say(&mut stream, format!("{XMPP_HEADER}{XMPP_OFFER}").as_bytes()).await
        || !hear_until(&mut stream, &mut heard, xmpp::START_TLS).await
        || !say(&mut stream, XMPP_PROCEED.as_bytes()).await
    {
        return;
    }
    let Some(mut stream) = tls::secured(stream, &door).await else {
        return;
    };
    heard.clear();
    if hear_until(&mut stream, &mut heard, ">").await
        && say(
            &mut stream,
            format!("{XMPP_HEADER}{XMPP_LOGINS}").as_bytes(),
        )
        .await
        && hear_until(&mut stream, &mut heard, xmpp::END).await
    {
        // Whether the goodbye arrives is the peer's to notice.
        let _said = say(&mut stream, xmpp::END.as_bytes()).await;
    }
}

/// Listens until what was heard ends like this.
async fn hear_until(stream: &mut (impl AsyncRead + Unpin), heard: &mut Vec<u8>, end: &str) -> bool {
    while !heard.ends_with(end.as_bytes()) {
        if !hear(stream, heard).await {
            return false;
        }
    }
    true
}

/// Hears more; false when nothing more comes, or too much.
async fn hear(stream: &mut (impl AsyncRead + Unpin), heard: &mut Vec<u8>) -> bool {
    let mut chunk = [0; 1024];
    let reading = time::timeout(MAX_SILENCE, stream.read(&mut chunk));
    let Ok(Ok(length @ 1..)) = reading.await else {
        return false;
    };
    heard.extend_from_slice(&chunk[..length]);
    heard.len() <= MAX_HEARD
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), words: &[u8]) -> bool {
    let saying = async {
        stream.write_all(words).await?;
        // TLS may keep it for a while otherwise.
        stream.flush().await
    };
    matches!(time::timeout(SEND_TIMEOUT, saying).await, Ok(Ok(())))
}
