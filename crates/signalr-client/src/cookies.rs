//! Cookies of one server, for as long as a connection lasts: load balancers put a client's next
//! request to the machine of the last one by them (RFC 6265).

use http::{HeaderMap, HeaderValue, header};

/// Cookies that are kept; later ones are left out.
const COOKIES_MAX: usize = 32;
/// Longest cookie that is kept, name and value, in bytes (RFC 6265 §6.1).
const COOKIE_MAX: usize = 4096;

/// What one server has set. All of its requests are to one hub, so paths mean nothing here.
#[derive(Default)]
pub(crate) struct Cookies(Vec<(String, String)>);

impl Cookies {
    /// Takes what an answer sets.
    pub(crate) fn on_answer(&mut self, headers: &HeaderMap) {
        for value in headers.get_all(header::SET_COOKIE) {
            let Ok(text) = value.to_str() else {
                continue;
            };
            let mut parts = text.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
                continue;
            };
            if name.is_empty() || name.len() + value.len() > COOKIE_MAX {
                continue;
            }
            let over = parts.any(|part| {
                let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
                attribute.eq_ignore_ascii_case("max-age")
                    && value.parse().is_ok_and(|age: i64| age <= 0)
            });
            self.0.retain(|(known, _)| known != name);
            if !over && self.0.len() < COOKIES_MAX {
                self.0.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    /// What a request brings, if there is anything.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let pairs = self.0.iter().map(|(name, value)| format!("{name}={value}"));
        let text = pairs.collect::<Vec<_>>().join("; ");
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        (!text.is_empty()).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(cookies: &mut Cookies, set: &[&str]) -> Option<HeaderValue> {
        let mut headers = HeaderMap::new();
        for cookie in set {
            headers.append(header::SET_COOKIE, cookie.parse().unwrap());
        }
        cookies.on_answer(&headers);
        cookies.header()
    }

    #[test]
    fn what_is_set_is_brought_until_it_is_taken_back() {
        let mut cookies = Cookies::default();
        assert_eq!(answer(&mut cookies, &[]), None);
        let both = answer(&mut cookies, &["A=1; Path=/; HttpOnly", "B=x=y"]);
        assert_eq!(both.unwrap(), "A=1; B=x=y");
        let one = answer(&mut cookies, &["A=2", "B=; Max-Age=0", "nonsense"]);
        assert_eq!(one.unwrap(), "A=2");
    }

    #[test]
    fn a_server_cannot_make_them_grow_without_end() {
        let mut cookies = Cookies::default();
        for index in 0..100 {
            answer(&mut cookies, &[&format!("c{index}=1")]);
        }
        answer(&mut cookies, &[&format!("d={}", "x".repeat(COOKIE_MAX))]);
        assert_eq!(cookies.0.len(), COOKIES_MAX);
    }
}
