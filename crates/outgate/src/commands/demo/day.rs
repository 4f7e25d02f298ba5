//! A day of an Open POS till at the demo's hub, with its vendor at the other end: each step uses a
//! part of the hub as a till and a vendor do, and fails with what was seen instead.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use outgate_client::{
    Client as Vendor, EventFilter, Given, LogFilter, NewCommand, NewCredential, Payload, Token,
};
use outgate_signalr_client::{Cause, State, Transport};
use outgate_standin::Authority;
use outgate_wire::event_stream::Reader;
use reqwest::header::{ETAG, IF_NONE_MATCH, RANGE};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::cloud::Cloud;
use super::step::{PATIENCE, Step, step};
use super::till::{Heard, Names, Realtime, Till};

/// The shop and its till.
const SITE: &str = "oslo";
const TILL: &str = "till-1";

/// How often it is looked whether something has happened that nobody tells of.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// All ways of realtime, best first.
const TRANSPORTS: [Transport; 3] = [
    Transport::WebSockets,
    Transport::ServerSentEvents,
    Transport::LongPolling,
];

/// The content of the asset that the till holds.
const MENU: &str = "{\"coffee\":2500,\"bun\":3200}";

/// The till, its vendor, and what they share.
struct Day {
    till: Till,
    vendor: Vendor,
    /// What the vendor asks the Realtime Database by, as its client does not know that.
    with_vendors_token: Till,
}

/// Plays the whole day.
pub(super) async fn play(
    cloud: &Cloud,
    authority: &Authority,
    names: Names,
) -> anyhow::Result<Vec<Step>> {
    let day = Day::begin(cloud, authority, names).await?;
    let mut steps = Vec::new();
    let mut note = |step| steps.push(step);
    note(step("sign-in", "over every transport", day.sign_in()).await);
    let mut realtime = None;
    let configuration = day.configuration(&mut realtime);
    note(step("configuration", "reads its twin", configuration).await);
    if let Some(mut realtime) = realtime {
        let change = day.change(&mut realtime);
        note(step("change", "is told, and reports", change).await);
        note(step("sale", "publishes an event", day.sale(&realtime)).await);
        note(step("price", "answers a call", day.price()).await);
        let receipt = day.receipt(realtime);
        note(step("receipt", "takes a command of while it was away", receipt).await);
    }
    note(step("logs", "sends by OTLP", day.logs()).await);
    note(step("assets", "fetches what it should hold", day.assets()).await);
    let database = day.database();
    note(step("database", "writes, reads and listens", database).await);
    note(step("revocation", "is shut out", day.revocation()).await);
    Ok(steps)
}

impl Day {
    /// The vendor makes the site, the till and what the till proves itself by.
    async fn begin(cloud: &Cloud, authority: &Authority, names: Names) -> anyhow::Result<Self> {
        let (vendor, token) = cloud.vendor(authority)?;
        vendor.create_site(SITE, "Oslo").await?;
        vendor.create_device(TILL, SITE, None).await?;
        vendor.desire(TILL, &json!({ "vat": 25 }), None).await?;
        let its = furnish(&vendor, TILL).await?;
        let till = Till::new(names, cloud.address(), authority, its)?;
        Ok(Self {
            with_vendors_token: till.with_token(token),
            till,
            vendor,
        })
    }

    async fn sign_in(&self) -> anyhow::Result<String> {
        let wrong = Token::new("og_de_wrong").context("a token that is none")?;
        let refused = self.till.with_token(wrong).connect(&TRANSPORTS).await;
        is_refused(refused).context("a wrong token")?;
        for transport in TRANSPORTS {
            let realtime = self.till.connect(&[transport]).await;
            let realtime = realtime.with_context(|| format!("over {transport:?}"))?;
            let state = realtime.client.state().borrow().clone();
            let State::Connected { transport: by, .. } = state else {
                bail!("no connection over {transport:?}");
            };
            ensure!(by == transport, "{by:?} in place of {transport:?}");
            let _: Value = realtime.client.invoke("twin", ()).await?;
            realtime.client.stop().await;
        }
        Ok("WebSockets, ServerSentEvents, LongPolling; a wrong token is refused".to_owned())
    }

    async fn configuration(&self, into: &mut Option<Realtime>) -> anyhow::Result<String> {
        let realtime = self.till.connect(&TRANSPORTS).await?;
        let realtime = into.insert(realtime);
        let twin: Value = realtime.client.invoke("twin", ()).await?;
        let desired = &twin["desired"]["document"];
        ensure!(*desired == json!({ "vat": 25 }), "desired is {desired}");
        Ok(format!("desired {desired}"))
    }

    async fn change(&self, realtime: &mut Realtime) -> anyhow::Result<String> {
        let first = realtime.hear().await?;
        ensure!(
            first == Heard::Desired(1, json!({ "vat": 25 })),
            "{first:?}"
        );
        let wanted = json!({ "vat": 12 });
        self.vendor.desire(TILL, &wanted, None).await?;
        let told = realtime.hear().await?;
        ensure!(told == Heard::Desired(2, wanted.clone()), "{told:?}");
        let version: u64 = realtime.client.invoke("report", (&wanted,)).await?;
        let reported = self.vendor.twin(TILL).await?.reported;
        ensure!(
            reported.document == wanted && reported.version == version,
            "{reported:?}"
        );
        Ok(format!("desired and reported {wanted}"))
    }

    async fn sale(&self, realtime: &Realtime) -> anyhow::Result<String> {
        let sale = json!({ "article": "coffee", "cents": 2_500 });
        let () = realtime.client.invoke("sale/closed", (&sale,)).await?;
        let filter = EventFilter {
            device: Some(TILL.to_owned()),
            prefix: None,
        };
        let kept = self.vendor.events(&filter, 0, 10).await?.items;
        let [event] = kept.as_slice() else {
            bail!("{} events in place of one", kept.len());
        };
        ensure!(event.payload == Payload::Json(json!([sale])), "{event:?}");
        Ok(format!("{} {sale} is kept", event.name))
    }

    async fn price(&self) -> anyhow::Result<String> {
        let kind = "application/json";
        let article = Payload::Json(json!("coffee"));
        let called = self.vendor.call(TILL, "price", kind, &article, PATIENCE);
        let answer = called.await?;
        ensure!(answer.status == 200, "{answer:?}");
        let Payload::Json(price) = answer.payload else {
            bail!("{:?}", answer.payload);
        };
        Ok(format!("200 {price}"))
    }

    async fn receipt(&self, realtime: Realtime) -> anyhow::Result<String> {
        realtime.client.stop().await;
        let kind = "application/json";
        let new = NewCommand {
            name: "print/receipt".to_owned(),
            content_type: kind.to_owned(),
            payload: Payload::Json(json!("coffee 25.00")),
            properties: std::collections::BTreeMap::new(),
            lasts: None,
        };
        let command = self.vendor.send_command(TILL, &new).await?;
        ensure!(command.state == "queued", "it is {}", command.state);
        let mut realtime = self.till.connect(&TRANSPORTS).await?;
        let text = loop {
            match realtime.hear().await? {
                Heard::Receipt(text) => break text,
                // What it is wanted to be, which it is told each time that it comes.
                Heard::Desired(..) => {}
            }
        };
        loop {
            let command = self.vendor.command(TILL, &command.id).await?;
            match command.state.as_str() {
                "queued" | "delivered" => tokio::time::sleep(LOOK_EVERY).await,
                "completed" => break,
                other => bail!("the command is {other}"),
            }
        }
        realtime.client.stop().await;
        Ok(format!("`{text}` is printed, and the command completed"))
    }

    async fn logs(&self) -> anyhow::Result<String> {
        self.till.log("the drawer stays open").await?;
        let filter = LogFilter {
            grep: Some("drawer".to_owned()),
            ..LogFilter::default()
        };
        let found = self.vendor.logs(TILL, &filter, 0, 10).await?.items;
        let [record] = found.as_slice() else {
            bail!("{} records in place of one", found.len());
        };
        Ok(format!("the vendor finds {}", record.body))
    }

    async fn assets(&self) -> anyhow::Result<String> {
        let (name, kind) = ("menu.json", "application/json".to_owned());
        let content = MENU.into();
        self.vendor
            .put_asset(name, Some(SITE), kind, content)
            .await?;
        let listed: Value = self.asset("/assets").send().await?.json().await?;
        let url = listed["assets"][0]["url"].as_str();
        let url = url.context("the list is empty")?;
        let whole = self.asset(url).send().await?.error_for_status()?;
        let tag = tag(&whole)?;
        let digest = listed["assets"][0]["sha256"].as_str().unwrap_or_default();
        ensure!(tag == format!("\"{digest}\""), "its tag is {tag}");
        ensure!(
            whole.text().await? == MENU,
            "it is not what the vendor put there"
        );
        let rest = self.asset(url).header(RANGE, "bytes=10-").send().await?;
        ensure!(
            rest.status() == StatusCode::PARTIAL_CONTENT,
            "{}",
            rest.status()
        );
        ensure!(MENU.ends_with(&rest.text().await?), "another range");
        let again = self.asset(url).header(IF_NONE_MATCH, tag).send().await?;
        ensure!(
            again.status() == StatusCode::NOT_MODIFIED,
            "{}",
            again.status()
        );
        Ok(format!(
            "{name} whole, the rest of it, and 304 when it has it"
        ))
    }

    async fn database(&self) -> anyhow::Result<String> {
        let (own, prices) = ("/sites/oslo/tills/till-1.json", "/sites/oslo/prices.json");
        let listening = record(&self.till, Method::GET, prices);
        let listening = listening.header("accept", "text/event-stream");
        let mut listening = listening.send().await?.error_for_status()?;
        let mut reader = Reader::new();
        let first = put(&mut listening, &mut reader).await?;
        ensure!(first.is_null(), "the prices are {first}");
        let wanted = json!({ "coffee": 2_500 });
        let refused = record(&self.till, Method::PUT, prices).json(&wanted);
        let refused = refused.send().await?.status();
        ensure!(
            refused == StatusCode::UNAUTHORIZED,
            "{refused} for a till that sets prices"
        );
        let set = record(&self.with_vendors_token, Method::PUT, prices);
        set.json(&wanted).send().await?.error_for_status()?;
        let told = put(&mut listening, &mut reader).await?;
        ensure!(told == wanted, "{told}");
        let state = json!({ "drawer": "open" });
        let wrote = record(&self.till, Method::PUT, own)
            .json(&state)
            .send()
            .await?;
        wrote.error_for_status()?;
        let kept: Value = record(&self.till, Method::GET, own)
            .send()
            .await?
            .json()
            .await?;
        ensure!(kept == state, "{kept}");
        Ok(format!(
            "is told {told}; writes {kept} at its own place, no price"
        ))
    }

    async fn revocation(&self) -> anyhow::Result<String> {
        let realtime = self.till.connect(&TRANSPORTS).await?;
        self.vendor.revoke_device(TILL).await?;
        let mut states = realtime.client.state();
        let over = states.wait_for(State::is_over).await?.clone();
        let State::Closed {
            cause: Some(Cause::Closed {
                error: Some(said), ..
            }),
        } = over
        else {
            bail!("its connection is {over:?}");
        };
        is_refused(self.till.connect(&TRANSPORTS).await)?;
        ensure!(
            self.till.log("still here").await.is_err(),
            "its log is taken"
        );
        Ok(format!("`{said}`, and it is let in nowhere"))
    }

    fn asset(&self, path: &str) -> reqwest::RequestBuilder {
        self.till.ask(Method::GET, &self.till.names.assets, path)
    }
}

impl Realtime {
    /// What the hub says next.
    async fn hear(&mut self) -> anyhow::Result<Heard> {
        self.heard.recv().await.context("the connection has ended")
    }
}

/// Gives a device a token to prove itself by.
pub(super) async fn furnish(vendor: &Vendor, device: &str) -> anyhow::Result<Token> {
    let new = NewCredential::Token {
        label: "demo".to_owned(),
        lasts: None,
    };
    let issued = vendor.add_credential(device, &new).await?;
    let given = issued.into_iter().map(|issued| issued.given).next();
    let Some(Given::Token(token)) = given else {
        bail!("the hub gave no token");
    };
    Ok(token)
}

/// Whether a connection was refused for what the till has shown.
fn is_refused(connected: anyhow::Result<Realtime>) -> anyhow::Result<()> {
    let Err(error) = connected else {
        bail!("it was let in");
    };
    match error.downcast_ref::<Cause>() {
        Some(Cause::Status { status: 401, .. }) => Ok(()),
        _ => Err(error),
    }
}

/// A request to the Realtime Database.
fn record(by: &Till, method: Method, path: &str) -> reqwest::RequestBuilder {
    by.ask(method, &by.names.database, path)
}

fn tag(response: &Response) -> anyhow::Result<String> {
    let tag = response.headers().get(ETAG).context("it has no tag")?;
    Ok(tag.to_str()?.to_owned())
}

/// The next value that listeners are told.
async fn put(stream: &mut Response, reader: &mut Reader) -> anyhow::Result<Value> {
    loop {
        let piece = stream.chunk().await?.context("the stream has ended")?;
        for event in reader.handle_bytes(&piece)? {
            if event.kind == "put" {
                let told: Value = serde_json::from_str(&event.data)?;
                return Ok(told["data"].clone());
            }
        }
    }
}
