//! MQTT with plain topics: events, commands, calls and twins under `devices/NAME/`, and messages
//! between devices within what their policies allow.
