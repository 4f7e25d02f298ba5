//! MQTT 3.1.1 and 5.0 for servers: packets, connections, sessions, topics; no input or output.
