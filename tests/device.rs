//! A device that speaks MQTT 3.1.1, as little of it as the tests need.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long the hub may take, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// A device that has come in.
pub(crate) struct Device(TcpStream);

impl Device {
    /// Comes in by a token.
    pub(crate) fn connect(hub: SocketAddr, name: &str, token: &str) -> Self {
        let stream = TcpStream::connect(hub).expect("the hub listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let mut device = Self(stream);
        // Protocol level 4; user name, password and clean session; no keep-alive.
        let mut body = [text("MQTT"), vec![4, 0b1100_0010, 0, 0]].concat();
        body.extend([text(name), text(name), text(token)].concat());
        device.send(0x10, &body);
        assert_eq!(device.answer::<4>(), [0x20, 2, 0, 0], "{name} comes in");
        device
    }

    /// Says an event; when this returns it is on the hub's disk.
    pub(crate) fn say(&mut self, name: &str, event: &str, payload: &str) {
        let topic = text(&format!("devices/{name}/events/{event}"));
        let body = [topic, vec![0, 1], payload.as_bytes().to_vec()].concat();
        self.send(0x32, &body);
        assert_eq!(self.answer::<4>(), [0x40, 2, 0, 1], "{event} is taken");
    }

    /// Waits until the hub has closed the connection.
    pub(crate) fn wait_until_cut_off(mut self) {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }

    fn send(&mut self, kind: u8, body: &[u8]) {
        let length = u8::try_from(body.len()).expect("a short packet");
        assert!(length < 128, "a length of one byte");
        let packet = [&[kind, length], body].concat();
        self.0.write_all(&packet).expect("the hub reads");
    }

    fn answer<const N: usize>(&mut self) -> [u8; N] {
        let mut answer = [0; N];
        self.0.read_exact(&mut answer).expect("the hub answers");
        answer
    }
}

/// A text as MQTT has it (3.1.1, section 1.5.3).
fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text");
    [&length.to_be_bytes(), text.as_bytes()].concat()
}
