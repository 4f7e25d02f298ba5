//! What a back end asks for, by method and path: the data plane of Azure SignalR Service, in its
//! first form and that of 2022-06-01.

use http::Method;
use percent_encoding::percent_decode_str;

/// Where its first form begins, and where the other does.
pub(super) const FIRST: &str = "/api/v1/hubs/";
pub(super) const SECOND: &str = "/api/hubs/";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Operation {
    /// Of which hub, in small letters.
    pub(super) hub: String,
    /// About whom.
    pub(super) whom: Whom,
    /// What.
    pub(super) act: Act,
    /// Whether in the first form.
    pub(super) first: bool,
}

/// About whom it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whom {
    All,
    User(String),
    Group(String),
    Connection(String),
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// Sends the body's message.
    Send,
    /// Tells whether there is anybody.
    Look,
    /// Closes connections.
    Close,
    /// Puts connections into a group.
    Join(String),
    /// Takes connections out of a group.
    Leave(String),
    /// Tells whether any connection is in a group.
    LookIn(String),
    /// Takes connections out of all groups.
    LeaveAll,
}

/// Why nothing is asked for that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// There is nothing at that path.
    Path,
    /// There is, for other methods.
    Method,
}

/// Reads it.
pub(super) fn read(method: &Method, path: &str) -> Result<Operation, Unknown> {
    let (rest, first) = match (path.strip_prefix(FIRST), path.strip_prefix(SECOND)) {
        (Some(rest), _) => (rest, true),
        (None, Some(rest)) => (rest, false),
        (None, None) => return Err(Unknown::Path),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let steps: Option<Vec<String>> = rest.split('/').map(step).collect();
    let steps = steps.ok_or(Unknown::Path)?;
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    let (hub, steps) = steps.split_first().ok_or(Unknown::Path)?;
    let (whom, acts) = about(steps, first).ok_or(Unknown::Path)?;
    let act = acts.into_iter().find(|(its, _)| its == method);
    Ok(Operation {
        hub: hub.to_lowercase(),
        whom,
        act: act.ok_or(Unknown::Method)?.1,
        first,
    })
}

fn step(text: &str) -> Option<String> {
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    (!decoded.is_empty()).then(|| decoded.into_owned())
}

/// About whom a path is, and what each method does there.
fn about(steps: &[&str], first: bool) -> Option<(Whom, Vec<(Method, Act)>)> {
    let text = |text: &str| text.to_owned();
    let whom = |kind: &str, name: &str| match kind {
        "users" => Some(Whom::User(text(name))),
        "groups" => Some(Whom::Group(text(name))),
        "connections" => Some(Whom::Connection(text(name))),
        _ => None,
    };
    let member = |group: &str| {
        let mut acts = looks(&Act::LookIn(text(group)));
        acts.push((Method::PUT, Act::Join(text(group))));
        acts.push((Method::DELETE, Act::Leave(text(group))));
        acts
    };
    let told = |act| vec![(Method::POST, act)];
    Some(match steps {
        [] if first => (Whom::All, told(Act::Send)),
        [":send"] if !first => (Whom::All, told(Act::Send)),
        [":closeConnections"] if !first => (Whom::All, told(Act::Close)),
        [kind, name, ":send"] if !first => (whom(kind, name)?, told(Act::Send)),
        ["users" | "groups", name, ":closeConnections"] if !first => {
            (whom(steps[0], name)?, told(Act::Close))
        }
        ["users" | "connections", name, "groups"] => {
            (whom(steps[0], name)?, vec![(Method::DELETE, Act::LeaveAll)])
        }
        ["groups", group, "connections", name] => (whom("connections", name)?, member(group)),
        ["groups", group, "users", name] if first => (whom("users", name)?, member(group)),
        ["users", name, "groups", group] if !first => (whom("users", name)?, member(group)),
        [kind, name] => {
            let mut acts = looks(&Act::Look);
            if first {
                acts.push((Method::POST, Act::Send));
            }
            if *kind == "connections" {
                acts.push((Method::DELETE, Act::Close));
            }
            (whom(kind, name)?, acts)
        }
        _ => return None,
    })
}

fn looks(act: &Act) -> Vec<(Method, Act)> {
    vec![(Method::HEAD, act.clone()), (Method::GET, act.clone())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, path: &str) -> Result<(Whom, Act), Unknown> {
        let operation = read(&method, path)?;
        assert_eq!(operation.hub, "pos");
        assert_eq!(operation.first, path.starts_with(FIRST));
        Ok((operation.whom, operation.act))
    }

    #[test]
    fn both_forms_are_read_and_names_in_them_may_hold_anything() {
        let user = || Whom::User("till/7 å".to_owned());
        let group = || Whom::Group("g".to_owned());
        let connection = || Whom::Connection("c".to_owned());
        let g = || "g".to_owned();
        for (method, path, expected) in [
            (Method::POST, "/api/v1/hubs/POS", (Whom::All, Act::Send)),
            (Method::POST, "/api/hubs/pos/:send", (Whom::All, Act::Send)),
            (
                Method::POST,
                "/api/hubs/pos/:closeConnections",
                (Whom::All, Act::Close),
            ),
            (
                Method::POST,
                "/api/v1/hubs/pos/users/till%2F7%20%C3%A5",
                (user(), Act::Send),
            ),
            (
                Method::POST,
                "/api/hubs/pos/users/till%2f7 å/:send",
                (user(), Act::Send),
            ),
            (Method::HEAD, "/api/hubs/pos/groups/g", (group(), Act::Look)),
            (
                Method::GET,
                "/api/v1/hubs/pos/connections/c/",
                (connection(), Act::Look),
            ),
            (
                Method::DELETE,
                "/api/hubs/pos/connections/c",
                (connection(), Act::Close),
            ),
            (
                Method::PUT,
                "/api/hubs/pos/groups/g/connections/c",
                (connection(), Act::Join(g())),
            ),
            (
                Method::DELETE,
                "/api/v1/hubs/pos/groups/g/users/till%2F7 å",
                (user(), Act::Leave(g())),
            ),
            (
                Method::HEAD,
                "/api/hubs/pos/users/till%2F7 å/groups/g",
                (user(), Act::LookIn(g())),
            ),
            (
                Method::DELETE,
                "/api/hubs/pos/connections/c/groups",
                (connection(), Act::LeaveAll),
            ),
        ] {
            assert_eq!(asked(method.clone(), path), Ok(expected), "{method} {path}");
        }
    }

    #[test]
    fn one_form_does_not_have_what_is_the_others() {
        for (path, unknown) in [
            ("/api/hubs/pos", Unknown::Path),
            ("/api/v1/hubs/pos/:send", Unknown::Path),
            ("/api/hubs/pos/users/u", Unknown::Method),
            ("/api/hubs/pos/groups/g/users/u", Unknown::Path),
            ("/api/hubs/pos/others/o", Unknown::Path),
            ("/api/hubs//:send", Unknown::Path),
            ("/api/hubs/pos/users/%ff/:send", Unknown::Path),
            ("/api/devices", Unknown::Path),
        ] {
            assert_eq!(asked(Method::POST, path), Err(unknown), "{path}");
        }
    }
}
