//! From a connection's first byte to its CONNACK, and from its end to what is left of it.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use outgate_core::id::SessionId;
use outgate_core::identity::{Identified, Principal};
use outgate_core::messages::{self, Will, WillId};
use outgate_core::refusal::Refusal;
use outgate_core::sessions::{Ending, Session};
use outgate_door::Facts;
use outgate_mqtt::connection::{Connection, Event};
use outgate_mqtt::packet::{ConnAck, Connect, Message, ReasonCode, Version};
use outgate_mqtt::text::Text;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tracing::Instrument as _;

use super::broker::{Arriving, Attached, consumer_of};
use super::conversation::{Conversation, DeviceRole, End, Role, ServiceRole, resumed};
use super::events::new_event;
use super::io::{Moved, Outbox, poll_move};
use super::methods::{self, Agreed};
use super::policies::Subject;
use super::tongue::Tongue;
use super::topics::{self, Meaning};
use super::{Inner, reasons, registering};
use crate::dialects::aws::mqtt::Entering;
use crate::dialects::login::{self, Shown};

/// How long a client that is turned away has to read why.
const TO_READ_WHY: Duration = Duration::from_secs(2);

/// The most bytes of a client identifier.
const MAX_CLIENT_ID: usize = 256;

/// Serves one connection to its end.
pub(super) async fn serve<S>(
    hub: &Inner,
    mut stream: S,
    facts: &Facts,
    signed: Option<Box<Identified>>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let limits = Arc::clone(&hub.rules.load().limits);
    let mut connection = Connection::new(limits, Instant::now());
    let Some(Event::Connect(connect)) = next_event(&mut connection, &mut stream).await else {
        return;
    };
    if let Some(registrant) = registering::registrant(&connect) {
        let on = (stream, facts);
        let serving = registering::serve(hub, connection, &connect, registrant, on);
        return Box::pin(serving).await;
    }
    // On the heap, and gone before the conversation starts: most connections are idle in that.
    let span = tracing::debug_span!("connect", otel.kind = "server", messaging.system = "mqtt");
    let entering = Entering::of(&connect, facts, signed);
    let came = Came { facts, entering };
    let welcome = welcome(hub, connection, *connect, came, &mut stream).instrument(span);
    let welcome = Box::pin(welcome).await;
    match welcome {
        Ok(welcomed) => converse(hub, *welcomed, stream).await,
        Err(turned_away) => turn_away(*turned_away, &mut stream).await,
    }
}

/// How a client has come.
struct Came<'a> {
    facts: &'a Facts,
    /// As what was written for AWS comes.
    entering: Option<Entering>,
}

/// A client that may stay.
struct Welcomed {
    connection: Connection,
    session: Session,
    attached: Attached,
    role: Role,
    tags: std::collections::HashMap<u64, super::conversation::Tag>,
    /// The most messages of QoS 1 and 2 that may be on their way to it.
    inflight: u16,
    /// What it was authenticated by, if by a method.
    agreed: Option<Box<Agreed>>,
    /// For how many seconds its session outlives it.
    lasts: u32,
    will: Option<Will>,
}

/// A client that may not.
struct TurnedAway {
    connection: Connection,
    answer: ConnAck,
}

/// Writes what is to be written and reads until the next step of a login; `None` when none comes.
pub(super) async fn next_event<S>(connection: &mut Connection, stream: &mut S) -> Option<Event>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut out = Outbox::default();
    out.bytes = connection.take_output(Instant::now());
    loop {
        match connection.poll_event(Instant::now()) {
            Some(event @ (Event::Connect(_) | Event::Auth(_))) => return Some(event),
            Some(_) => {
                let last = connection.take_output(Instant::now());
                write_last(&last, stream).await;
                return None;
            }
            None => {}
        }
        let until = connection.poll_timeout()?;
        let mut take = |bytes: &[u8]| connection.handle_bytes(bytes, Instant::now());
        let moving = poll_fn(|context| poll_move(stream, context, &mut out, true, &mut take));
        match tokio::time::timeout_at(until.into(), moving).await {
            Ok(Ok(Moved::Read(_) | Moved::Written)) => {}
            Ok(Ok(Moved::Closed) | Err(_)) => return None,
            Err(_) => connection.handle_timeout(Instant::now()),
        }
    }
}

/// Makes out who connects and takes its seat.
async fn welcome<S>(
    hub: &Inner,
    mut connection: Connection,
    mut connect: Connect,
    came: Came<'_>,
    stream: &mut S,
) -> Result<Box<Welcomed>, Box<TurnedAway>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut tongue = Tongue::of(&connect, came.entering.is_some());
    let proved = make_out(hub, &mut tongue, &mut connection, &connect, &came, stream).await;
    let facts = came.facts;
    let arrived = match &proved {
        // Only who has proved who it is learns where else to go.
        Ok(_) if hub.is_draining() => Err(ReasonCode::ServerUnavailable),
        Ok((identified, _)) => arrive(hub, &tongue, &mut connect, facts, identified).await,
        Err(reason) => Err(*reason),
    };
    let (session, role, arrived) = match arrived {
        Ok(arrived) => arrived,
        Err(reason) => {
            if !hub.is_draining() {
                hub.metrics.login_refused(tongue.via());
            }
            let answer = refusal(hub, reason);
            return Err(Box::new(TurnedAway { connection, answer }));
        }
    };
    let Arrived {
        attached,
        client_id,
        lasts,
        will,
    } = arrived;
    let mut answer = ConnAck::new(ReasonCode::Success);
    answer.session_present = attached.present;
    answer.assigned_client_id = connect
        .client_id
        .is_empty()
        .then(|| Text::lossy(&client_id));
    answer.session_expiry = (lasts != connect.session_expiry).then_some(lasts);
    let agreed = proved.ok().and_then(|(_, agreed)| agreed);
    answer.authentication = agreed.as_ref().map(|agreed| agreed.authentication.clone());
    let inflight = connection.limits().outgoing;
    let (kept, tags) = match resumed(hub, &attached.client, inflight).await {
        Ok(resumed) => resumed,
        Err(why) => {
            let answer = refusal(hub, reasons::to_connect(&why));
            hub.broker.detach(attached, lasts, None).await;
            return Err(Box::new(TurnedAway { connection, answer }));
        }
    };
    connection.accept(kept, answer, Instant::now());
    Ok(Box::new(Welcomed {
        connection,
        session,
        attached,
        role,
        tags,
        inflight,
        agreed,
        lasts,
        will,
    }))
}

/// What a client has become.
struct Arrived {
    attached: Attached,
    client_id: String,
    lasts: u32,
    will: Option<Will>,
}

/// Makes out who connects, and in which tongue they speak.
async fn make_out<S>(
    hub: &Inner,
    tongue: &mut Tongue,
    connection: &mut Connection,
    connect: &Connect,
    came: &Came<'_>,
    stream: &mut S,
) -> Result<(Identified, Option<Box<Agreed>>), ReasonCode>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let proved = prove(hub, tongue, connection, connect, came, stream).await?;
    *tongue = { tongue.clone() }.of_policy(&hub.rules.load().policies, &proved.0)?;
    Ok(proved)
}

/// Makes out who connects: by what the CONNECT says, or by an exchange.
async fn prove<S>(
    hub: &Inner,
    tongue: &Tongue,
    connection: &mut Connection,
    connect: &Connect,
    came: &Came<'_>,
    stream: &mut S,
) -> Result<(Identified, Option<Box<Agreed>>), ReasonCode>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let facts = came.facts;
    if let Some(asked) = &connect.authentication {
        let agreed = methods::log_in(hub, connection, stream, asked, facts).await?;
        return Ok((agreed.identified.clone(), Some(Box::new(agreed))));
    }
    if let Tongue::Azure(speaker) = tongue {
        let entrance = Arc::clone(&hub.rules.load().settings.entrance);
        let identified = speaker.prove(&hub.core, &entrance, connect, facts).await?;
        return Ok((identified, None));
    }
    let user = connect.user_name.as_deref().unwrap_or_default();
    let shown = match &connect.password {
        Some(password) => Shown::Password(user, password.expose()),
        None => Shown::Name(user),
    };
    let identified = match &came.entering {
        Some(entering) => entering.prove(&hub.core, connect, facts).await,
        None => login::identify(&hub.core, shown, facts).await,
    };
    match identified {
        Ok(identified) => Ok((identified, None)),
        Err(refusal) => {
            // Anybody may bring this about as often as they like.
            tracing::debug!(error = %refusal, peer = %facts.peer.ip(), "an MQTT login failed");
            Err(reasons::to_connect(&refusal))
        }
    }
}

async fn arrive(
    hub: &Inner,
    tongue: &Tongue,
    connect: &mut Connect,
    facts: &Facts,
    identified: &Identified,
) -> Result<(Session, Role, Arrived), ReasonCode> {
    let refused = |refusal: Refusal| {
        // Anybody may bring this about as often as they like.
        tracing::debug!(error = %refusal, peer = %facts.peer.ip(), "an MQTT client was turned away");
        reasons::to_connect(&refusal)
    };
    let client_id = client_id(connect, identified)?;
    let owner = owner(identified);
    let key: Arc<str> = format!("{owner}/{client_id}").into();
    let longest = hub.rules.load().settings.max_session_expiry;
    let lasts = connect.session_expiry.min(longest);
    let role = role(hub, tongue, identified, &key)?;
    if let Role::Device(device) = &role
        && !hub.rules.load().policies.permit_connect(&device.subject)
    {
        return Err(ReasonCode::NotAuthorized);
    }
    if let Role::Device(device) = &role
        && let Some(will) = connect.will.take()
    {
        connect.will = Some(tongue.will(will, &device.id)?);
    }
    if matches!(role, Role::Service(_)) && lasts > 0 && consumer_of(&key).is_none() {
        return Err(ReasonCode::ClientIdentifierNotValid);
    }
    permit_will(hub, connect, &role)?;
    let session = hub
        .core
        .open_session(identified, tongue.via(), facts.peer)
        .await
        .map_err(refused)?;
    let will = will(connect, &session, &key, &owner)?;
    let arriving = Arriving {
        session: &session,
        key,
        owner,
        clean_start: connect.clean_start,
        lasts,
        will: will.clone(),
    };
    let attached = hub.broker.attach(arriving).await.map_err(refused)?;
    let arrived = Arrived {
        attached,
        client_id,
        lasts,
        will,
    };
    Ok((session, role, arrived))
}

/// Converses to the end, and leaves what is to be left.
async fn converse<S>(hub: &Inner, welcomed: Welcomed, mut stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Welcomed {
        connection,
        session,
        attached,
        role,
        tags,
        inflight,
        agreed,
        lasts,
        will,
    } = welcomed;
    let _live = hub.metrics.session(session.presence().via);
    let client = Arc::clone(&attached.client);
    let mut conversation = Conversation::new(hub, &session, &client, role, connection, tags);
    conversation.inflight = inflight;
    conversation.agreed = agreed;
    let end = conversation.run(&mut stream).await;
    // First of all the connection: who ends a session waits for that.
    drop(stream);
    let leftovers = conversation.leave();
    drop(session);
    Box::pin(async {
        leftovers.finish(hub).await;
        depart(hub, attached, end, lasts, will).await;
    })
    .await;
}

/// Leaves the seat as the end of the connection has it.
async fn depart(hub: &Inner, attached: Attached, end: End, lasts: u32, will: Option<Will>) {
    let longest = hub.rules.load().settings.max_session_expiry;
    let said = |lasts: u32| lasts.min(longest);
    let (lasts, left) = match end {
        End::Goodbye {
            lasts: new,
            will: wanted,
        } => {
            let will = will.clone().filter(|_| wanted);
            (new.map_or(lasts, said), will)
        }
        End::Broken | End::Ended(Ending::Replaced) => (lasts, will.clone()),
        // Whoever was put out says nothing more.
        End::Ended(Ending::Revoked | Ending::Expired | Ending::Dismissed) => (lasts, None),
        // It stays on the disk: the hub that comes back publishes it if the client does not.
        End::Ended(Ending::Draining) => return hub.broker.detach(attached, lasts, None).await,
    };
    if let (Some(will), None) = (&will, &left) {
        hub.broker.drop_will(&will.id).await;
    }
    hub.broker.detach(attached, lasts, left).await;
}

/// What a client is told that may not stay; of a hub that goes down, where else it may go (MQTT
/// 5.0, section 4.11).
fn refusal(hub: &Inner, reason: ReasonCode) -> ConnAck {
    let mut answer = ConnAck::new(reason);
    if reason == ReasonCode::ServerUnavailable && hub.is_draining() {
        answer.server_reference = hub.rules.load().elsewhere();
        if answer.server_reference.is_some() {
            answer.reason = ReasonCode::UseAnotherServer;
        }
    }
    answer
}

/// Tells a client why it may not stay, if it reads that.
async fn turn_away<S>(turned_away: TurnedAway, stream: &mut S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let TurnedAway {
        mut connection,
        answer,
    } = turned_away;
    connection.refuse(answer);
    let last = connection.take_output(Instant::now());
    write_last(&last, stream).await;
}

pub(super) async fn write_last<S: AsyncWrite + Unpin>(bytes: &[u8], stream: &mut S) {
    let write = async {
        stream.write_all(bytes).await?;
        stream.flush().await?;
        stream.shutdown().await
    };
    // It may have gone already.
    let _ = tokio::time::timeout(TO_READ_WHY, write).await;
}

/// What the client calls itself, or is called.
fn client_id(connect: &Connect, identified: &Identified) -> Result<String, ReasonCode> {
    if connect.client_id.len() > MAX_CLIENT_ID {
        return Err(ReasonCode::ClientIdentifierNotValid);
    }
    if !connect.client_id.is_empty() {
        return Ok(connect.client_id.as_str().to_owned());
    }
    let random = SessionId::made_up().map_err(|refusal| reasons::to_connect(&refusal))?;
    Ok(match &identified.principal {
        Principal::Device { device, .. } => format!("{device}/{random}"),
        Principal::Service { .. } | Principal::Operator { .. } => random.as_str().to_owned(),
    })
}

/// Who answers for the client: its sessions, retained messages and wills.
fn owner(identified: &Identified) -> Arc<str> {
    match &identified.principal {
        Principal::Device { device, .. } => format!("device/{device}").into(),
        Principal::Service { service, .. } => format!("service/{service}").into(),
        Principal::Operator { operator, .. } => format!("operator/{operator}").into(),
    }
}

fn role(
    hub: &Inner,
    tongue: &Tongue,
    identified: &Identified,
    key: &Arc<str>,
) -> Result<Role, ReasonCode> {
    let principal = &identified.principal;
    if let Some(subject) = Subject::of(principal, Arc::clone(key)) {
        return Ok(Role::Device(DeviceRole {
            id: subject.device.clone(),
            subject,
            tongue: tongue.clone(),
        }));
    }
    match principal {
        Principal::Service { scope, .. } => {
            let service = ServiceRole::new(hub, scope.clone());
            Ok(Role::Service(Box::new(service)))
        }
        Principal::Device { .. } | Principal::Operator { .. } => Err(ReasonCode::NotAuthorized),
    }
}

/// Whether the client may leave the will of its CONNECT. That is an event of its own, or a message
/// between devices, as the policy allows.
fn permit_will(hub: &Inner, connect: &Connect, role: &Role) -> Result<(), ReasonCode> {
    let Some(will) = &connect.will else {
        return Ok(());
    };
    let Role::Device(device) = role else {
        return Err(ReasonCode::NotAuthorized);
    };
    let rules = hub.rules.load();
    match topics::meaning(&will.topic, &device.id) {
        Meaning::Event(name) => {
            if !rules
                .policies
                .permit_own(&device.subject, &will.topic, will.retain)
            {
                return Err(ReasonCode::NotAuthorized);
            }
            let event = new_event(name, &will.properties, &will.payload);
            event
                .check()
                .map_err(|refusal| reasons::to_publish(&refusal))
        }
        Meaning::Message
            if rules
                .policies
                .permit_publish(&device.subject, &will.topic, will.retain) =>
        {
            Ok(())
        }
        Meaning::Message
        | Meaning::Answer(..)
        | Meaning::TwinGet
        | Meaning::Reported
        | Meaning::Refused => Err(ReasonCode::NotAuthorized),
    }
}

/// The will of a CONNECT, as `session` leaves it.
fn will(
    connect: &Connect,
    session: &Session,
    key: &str,
    owner: &str,
) -> Result<Option<Will>, ReasonCode> {
    let Some(will) = &connect.will else {
        return Ok(None);
    };
    let presence = session.presence();
    let now = presence.since;
    let expires = will
        .properties
        .message_expiry
        .map(|seconds| now.after(Duration::from_secs(seconds.into())));
    let message = Message::new(
        will.topic.clone(),
        &will.payload,
        will.qos,
        will.retain,
        &will.properties,
        Instant::now(),
    );
    let message = message.map_err(|_| ReasonCode::UnspecifiedError)?;
    let headers: Bytes = message.encoded_properties().clone();
    Ok(Some(Will {
        id: WillId {
            key: key.to_owned(),
            session: presence.id.clone(),
        },
        owner: owner.to_owned(),
        credential: presence.credential.clone(),
        message: messages::Message {
            topic: will.topic.as_str().to_owned(),
            headers,
            payload: message.payload().clone(),
            published: now,
            expires,
        },
        qos: will.qos.number(),
        retain: will.retain,
        delay: if connect.version == Version::V5 {
            will.delay
        } else {
            0
        },
        due: None,
    }))
}
