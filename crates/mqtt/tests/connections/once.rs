//! Exactly once, whatever breaks: a device, a wire that loses what is on it, and a server that is
//! killed at any moment and has nothing left but its disk.

mod device;
mod server;

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;

use outgate_mqtt::packet::Version;

use self::device::Device;
use self::server::Server;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The device has a message.
    Publish,
    /// The server has a message.
    Deliver,
    /// So many bytes reach the server.
    ToServer(usize),
    /// So many bytes reach the device.
    ToDevice(usize),
    /// The disk has written the oldest thing that waits for it.
    Commit,
    /// The wire breaks, and what is on it is lost.
    Cut,
    /// The server is killed, and the wire breaks.
    Kill,
    /// The device connects, unless it is connected.
    Connect,
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Publish),
        4 => Just(Step::Deliver),
        6 => (1_usize..40).prop_map(Step::ToServer),
        6 => (1_usize..40).prop_map(Step::ToDevice),
        8 => Just(Step::Commit),
        1 => Just(Step::Cut),
        1 => Just(Step::Kill),
        3 => Just(Step::Connect),
    ]
}

struct World {
    device: Device,
    server: Server,
    to_server: BytesMut,
    to_device: BytesMut,
}

impl World {
    fn new(version: Version) -> Self {
        Self {
            device: Device::new(version),
            server: Server::new(),
            to_server: BytesMut::new(),
            to_device: BytesMut::new(),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Publish => self.device.publish(),
            Step::Deliver => self.server.deliver(),
            Step::ToServer(count) => {
                let bytes = self.to_server.split_to(count.min(self.to_server.len()));
                self.server.handle_bytes(&bytes);
            }
            Step::ToDevice(count) => {
                let bytes = self.to_device.split_to(count.min(self.to_device.len()));
                self.device.handle_bytes(&bytes);
            }
            Step::Commit => self.server.commit_next(),
            Step::Cut | Step::Kill => {
                self.device.hang_up();
                self.server.hang_up();
                if let Step::Kill = step {
                    self.server.kill();
                }
                self.to_server.clear();
                self.to_device.clear();
            }
            Step::Connect => {
                if self.device.is_connected() {
                    return;
                }
                self.server.accept_wire();
                self.device.connect();
            }
        }
        self.to_server.unsplit(self.device.take_output());
        self.to_device.unsplit(self.server.take_output());
    }

    /// Lets everything come to rest.
    fn settle(&mut self) {
        self.take(Step::Connect);
        for _ in 0..10_000 {
            self.take(Step::ToServer(usize::MAX));
            self.take(Step::Commit);
            self.take(Step::ToDevice(usize::MAX));
            if self.device.is_done() && self.server.is_done() {
                return;
            }
        }
        panic!("it never ends: {:?} {:?}", self.device, self.server);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_message_of_qos_2_arrives_once_and_in_order(
        version in prop_oneof![Just(Version::V3_1_1), Just(Version::V5)],
        steps in vec(steps(), 1..250),
    ) {
        let mut world = World::new(version);
        for step in steps {
            world.take(step);
        }
        world.settle();
        let sent: Vec<u64> = (0..world.device.published()).collect();
        prop_assert_eq!(world.server.log(), &sent[..], "at the server");
        let sent: Vec<u64> = (0..world.server.delivered()).collect();
        prop_assert_eq!(world.device.log(), &sent[..], "at the device");
        prop_assert!(world.server.forgot_all());
    }
}
