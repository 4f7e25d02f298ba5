//! What clients of Firebase's Realtime Database say: messages in pieces, requests and queries.

use outgate_firebase::frame::{Pieces, cut};
use outgate_firebase::hash::hash;
use outgate_firebase::template::Template;
use outgate_firebase::wire::{Message, OnDisconnect, Request};
use outgate_firebase::{Draft, Form, Node, Path, Query};

/// The most bytes of a message here.
const MESSAGE_MAX: usize = 100_000;

/// Reads `data` as the texts of a WebSocket, with line ends between, and does what they ask.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, a message longer than is taken, one
/// that does not come together as it was cut, or a value that does not read as it is written.
pub fn firebase_message(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut pieces = Pieces::new(MESSAGE_MAX);
    for piece in text.lines() {
        let Ok(message) = pieces.handle_text(piece.to_owned()) else {
            break;
        };
        let Some(message) = message else { continue };
        assert!(message.len() <= MESSAGE_MAX);
        assert_eq!(cut(&message).concat(), message);
        if let Ok(Message::Request(_, request)) = Message::read(&message) {
            take(request);
        }
    }
}

fn take(request: Request) {
    match request {
        Request::Put { path, data, .. } => written(Draft::read_at(&path, &data).ok()),
        Request::Merge { path, data, .. } => {
            written(Draft::read_merge(&path, &data).into_iter().flatten());
        }
        Request::OnDisconnect { path, what } => match what {
            OnDisconnect::Put(data) => written(Draft::read_at(&path, &data).ok()),
            OnDisconnect::Merge(data) => {
                written(Draft::read_merge(&path, &data).into_iter().flatten());
            }
            OnDisconnect::Cancel => {}
        },
        Request::Listen { query, .. } | Request::Get { query, .. } => drop(Query::read(&query)),
        Request::Unlisten { .. }
        | Request::LogIn(..)
        | Request::LogOut(_)
        | Request::Statistics
        | Request::Unknown => {}
    }
}

fn written(parts: impl IntoIterator<Item = (Path, Draft)>) {
    let mut root = Node::default();
    for (path, draft) in parts {
        let node = draft.resolve(root.at(path.keys()), 7);
        root.replace(&path, node);
    }
    // Of a value as deep as a path may be at the most, so what is written reads again.
    let read = serde_json::from_str(&root.to_json(Form::Exact)).map(|it| Draft::read(&it, 0));
    let read = read.ok().and_then(Result::ok);
    let read = read.map(|draft| draft.resolve(Node::nothing(), 7));
    assert_eq!(read.as_ref(), Some(&root));
    assert_eq!(Node::of_rows(root.rows(&Path::root())), (root.clone(), 0));
    assert_eq!(hash(&root).is_empty(), root.is_nothing());
}

/// Reads `data` as a path and the parameters of an address, with line ends between, and answers.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, a path that does not read as it is
/// written, or an answer with what is not there.
pub fn firebase_query(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (path, parameters) = text.split_once('\n').unwrap_or((&text, ""));
    if let Ok(path) = Path::read_encoded(path) {
        assert_eq!(Path::read(&path.to_string()), Ok(path));
    }
    let parameters = parameters.lines().filter_map(|line| line.split_once('='));
    let value = serde_json::json!({
        "a": {"n": 1}, "b": {"n": "x"}, "7": true, "c": {"n": {".value": 2, ".priority": 3}},
    });
    let node = Draft::read(&value, 0).map(|draft| draft.resolve(Node::nothing(), 0));
    let node = node.unwrap_or_default();
    if let Ok(query) = Query::read_parameters(parameters) {
        let selected = query.select(&node);
        assert!(
            selected
                .iter()
                .all(|(key, child)| node.child(key) == *child)
        );
    }
}

/// Reads `data` as a template of Remote Config.
///
/// # Panics
///
/// When a promise of the crate is broken: a panic of its own, or a template that is another, or
/// none, when it is read again.
pub fn firebase_template(data: &[u8]) {
    let Ok(template) = Template::read(data) else {
        return;
    };
    let again = serde_json::to_vec(&template.content);
    let again = again.ok().and_then(|again| Template::read(&again).ok());
    assert_eq!(again.map(|again| again.content), Some(template.content));
}
