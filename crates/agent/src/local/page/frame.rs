//! The frame of every page.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use maud::{DOCTYPE, Markup, html};
use outgate_check::Language;

use super::tongue;
use super::words::{self, Words};

/// How a request is to be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// The language of the answer.
    pub(super) language: Language,
    /// Whether it was chosen by this very request.
    pub(super) chosen: bool,
}

impl View {
    pub(super) const fn words(&self) -> &'static Words {
        words::of(self.language)
    }

    /// A page of a title and a body.
    pub(super) fn page(
        &self,
        status: StatusCode,
        product: Option<&str>,
        title: &str,
        body: &Markup,
    ) -> Response {
        let page = self.framed(product, title, body);
        let mut response = (status, page).into_response();
        if self.chosen
            && let Ok(kept) = HeaderValue::try_from(tongue::kept(self.language))
        {
            response.headers_mut().append(header::SET_COOKIE, kept);
        }
        response
    }

    fn framed(&self, product: Option<&str>, title: &str, body: &Markup) -> Markup {
        let words = self.words();
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
