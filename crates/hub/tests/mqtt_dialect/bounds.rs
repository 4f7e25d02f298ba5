//! What a client may ask of the hub, each bound with what is beyond it: over sockets, against a
//! whole hub, or against its MQTT where the test has to say what time it is.

mod drain;
mod floods;
mod large;
mod slow;
mod subscriptions;
mod time;
mod windows;
