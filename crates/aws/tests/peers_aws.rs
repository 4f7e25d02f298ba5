//! botocore and awscrt, AWS's own libraries, sign; what they sign holds here, and nothing that was
//! changed.

#![cfg(test)]

use std::process::Command;

use outgate_aws::sigv4::{Request, Signed};
use outgate_testbed::{python_program, told};
use serde_json::Value;

const SECRET: &[u8] = b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// A request as one of them has signed it.
#[derive(Debug)]
struct Made {
    case: String,
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body_sha256: [u8; 32],
}

impl Made {
    fn holds(&self, secret: &[u8]) -> bool {
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let request = Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &headers,
            body_sha256: self.body_sha256,
        };
        let signed = Signed::of(&request).unwrap();
        assert_eq!(signed.access_key(), "AKIDEXAMPLE", "{}", self.case);
        signed.is_signed_with(secret, &request)
    }
}

fn made() -> Vec<Made> {
    let mut python = Command::new(python_program("aws", "python").unwrap());
    let output = python
        .args(["-c", include_str!("peers_aws/sign.py")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    all.iter().map(read).collect()
}

fn read(value: &Value) -> Made {
    let text = |name: &str| value[name].as_str().unwrap().to_owned();
    let hex = text("body_sha256");
    let body_sha256: Vec<u8> = (0..32)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    let headers = value["headers"].as_object().unwrap();
    Made {
        case: text("case"),
        method: text("method"),
        path: text("path"),
        query: text("query"),
        headers: headers
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect(),
        body_sha256: body_sha256.try_into().unwrap(),
    }
}

#[test]
fn what_awss_libraries_sign_holds() {
    let made = made();
    assert!(made.len() == 14, "{}", made.len());
    for one in made {
        assert!(one.holds(SECRET), "{one:?}");
        assert!(!one.holds(b"another"), "{one:?}");
    }
}

#[test]
fn what_is_changed_on_the_way_does_not_hold() {
    for mut one in made() {
        one.path.push('x');
        assert!(!one.holds(SECRET), "{one:?}");
        one.path.pop();
        one.method.push('X');
        assert!(!one.holds(SECRET), "{one:?}");
        one.method.pop();
        one.body_sha256[0] ^= 1;
        assert!(!one.holds(SECRET), "{one:?}");
        one.body_sha256[0] ^= 1;
        let host = one.headers.iter_mut().find(|(name, _)| name == "host");
        host.unwrap().1.push('x');
        assert!(!one.holds(SECRET), "{one:?}");
    }
}
