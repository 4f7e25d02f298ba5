//! The frame of every page.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Query};
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use maud::{DOCTYPE, Markup, html};
use outgate_check::Language;
use serde::Deserialize;

use super::words::{self, Words};
use super::{Site, login, tongue};

/// How a request is to be answered.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// The language of the answer.
    pub(super) language: Language,
    /// Whether it was chosen by this very request.
    chosen: bool,
    /// Whether whoever asks is logged in.
    pub(super) is_in: bool,
    /// What people call the product.
    product: Option<String>,
}

/// What a link says of the language.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    lang: Option<String>,
}

impl FromRequestParts<Arc<Site>> for View {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Infallible> {
        // A query that cannot be read chooses no language.
        let asked = Query::<Asked>::from_request_parts(parts, site).await;
        let lang = asked.ok().and_then(|Query(asked)| asked.lang);
        let (language, chosen) = tongue::of(lang.as_deref(), &parts.headers);
        Ok(Self {
            language,
            chosen,
            is_in: login::is_in(site, &parts.headers),
            product: site.product.clone(),
        })
    }
}

impl View {
    pub(super) const fn words(&self) -> &'static Words {
        words::of(self.language)
    }

    /// A page of a title and a body.
    pub(super) fn page(&self, status: StatusCode, title: &str, body: &Markup) -> Response {
        let mut response = (status, self.framed(title, body)).into_response();
        if self.chosen
            && let Ok(kept) = HeaderValue::try_from(tongue::kept(self.language))
        {
            response.headers_mut().append(header::SET_COOKIE, kept);
        }
        response
    }

    fn framed(&self, title: &str, body: &Markup) -> Markup {
        let words = self.words();
        let product = self.product.as_deref();
        html! {
            (DOCTYPE)
            html lang=(self.language.tag()) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) @if let Some(product) = product { " · " (product) } }
                    link rel="stylesheet" href="/page.css";
                    // Browsers would ask for /favicon.ico otherwise.
                    link rel="icon" href="data:,";
                }
                body {
                    a.skip href="#main" { (words.skip) }
                    header.top {
                        a.brand href="/" { (product.unwrap_or("Outgate")) }
                        (self.languages())
                        @if self.is_in {
                            form.logout method="post" action="/logout" {
                                button type="submit" { (words.logout) }
                            }
                        }
                    }
                    main #main tabindex="-1" {
                        h1 { (title) }
                        (body)
                    }
                }
            }
        }
    }

    /// Every language by its own name; the links lead to the same page.
    fn languages(&self) -> Markup {
        html! {
            nav aria-label=(self.words().language) {
                ul {
                    @for language in Language::ALL {
                        @let current = (language == self.language).then_some("true");
                        li {
                            a href={ "?lang=" (language.tag()) } lang=(language.tag())
                                hreflang=(language.tag()) aria-current=[current] {
                                (words::of(language).own_name)
                            }
                        }
                    }
                }
            }
        }
    }
}
