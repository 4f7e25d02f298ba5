//! `after` must have a beginning.

use std::collections::{HashMap, HashSet};

use crate::catalogue::Catalogue;
use crate::diagnostic::{Complaint, Diagnostics, Span};
use crate::manifest::Declared;

/// Complains of each circle of flows once, at an `after` that closes it. Every flow is looked at,
/// since imports can close a circle that no flow of the manifest itself is in.
pub(super) fn check(flows: &Catalogue<Declared>, out: &mut Diagnostics<'_>) {
    let mut search = Search::new(flows);
    for start in 0..search.colours.len() {
        search.visit(start);
    }
    let mut blamed: HashSet<Span> = HashSet::new();
    for (flow, span) in search.closing {
        if !blamed.insert(span) {
            continue;
        }
        let Some((id, _)) = flows.entries().get(flow) else {
            continue;
        };
        let message = format!("`{}` can only start after itself", id.value);
        let complaint = Complaint::error("after-cycle", message);
        out.push(
            span,
            complaint.expected("flows that do not need this one first"),
        );
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Colour {
    /// Not seen yet.
    White,
    /// On the path that is being followed.
    Grey,
    /// Followed to its end.
    Black,
}

/// A search in depth over what the flows need first.
struct Search {
    /// For each flow its own place, and what it needs, each with the place that says so.
    needs: Vec<(Span, Vec<(usize, Span)>)>,
    colours: Vec<Colour>,
    /// The flows that need themselves, with the place to mend.
    closing: Vec<(usize, Span)>,
}

impl Search {
    fn new(flows: &Catalogue<Declared>) -> Self {
        let entries = flows.entries();
        let places: HashMap<&str, usize> = flows.ids().zip(0..).collect();
        let needs = entries.iter().map(|(id, declared)| {
            let after = declared.flow.after.iter();
            let after = after.filter_map(|after| {
                let at = places.get(after.value.0.as_str())?;
                Some((*at, after.span))
            });
            (id.span, after.collect())
        });
        Self {
            needs: needs.collect(),
            colours: vec![Colour::White; entries.len()],
            closing: Vec::new(),
        }
    }

    fn visit(&mut self, start: usize) {
        if self.colours[start] != Colour::White {
            return;
        }
        // Each flow on the path with how many of its needs were followed.
        let mut path = vec![(start, 0)];
        self.colours[start] = Colour::Grey;
        while let Some((flow, followed)) = path.last_mut() {
            let (flow, at) = (*flow, *followed);
            *followed += 1;
            let Some(&(next, _)) = self.needs[flow].1.get(at) else {
                self.colours[flow] = Colour::Black;
                path.pop();
                continue;
            };
            match self.colours[next] {
                Colour::White => {
                    self.colours[next] = Colour::Grey;
                    path.push((next, 0));
                }
                Colour::Grey => self.close(next, &path),
                Colour::Black => {}
            }
        }
    }

    /// Notes the circle from `first` along the path and back. What an imported flow needs by its
    /// own manifest stands at the import itself, and is no place to mend anything.
    fn close(&mut self, first: usize, path: &[(usize, usize)]) {
        let from = path.iter().position(|(flow, _)| *flow == first);
        let circle = path.get(from.unwrap_or(0)..).unwrap_or_default();
        let mut links = circle.iter().rev().filter_map(|(flow, followed)| {
            let (own, needs) = &self.needs[*flow];
            let (_, span) = needs.get(followed.checked_sub(1)?)?;
            Some((*flow, *span, span == own))
        });
        let last = links.next();
        let found = match last {
            Some((_, _, true)) => links.find(|(_, _, inner)| !inner).or(last),
            Some((_, _, false)) | None => last,
        };
        self.closing
            .extend(found.map(|(flow, span, _)| (flow, span)));
    }
}
