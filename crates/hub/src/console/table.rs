//! Tables, the same on every page.

use maud::{Markup, html};

/// A column: by which the script and the style find its cells, and what people read above them.
pub(super) type Column = (&'static str, &'static str);

/// A table of these rows, each with a cell a column, or what is said when there are none. `part`
/// is the name by which the script finds it.
///
/// On a narrow screen there is no room for columns: each cell then shows its own heading.
pub(super) fn table<const N: usize>(
    part: &str,
    columns: [Column; N],
    rows: impl IntoIterator<Item = [Markup; N]>,
    empty: &str,
) -> Markup {
    let rows: Vec<[Markup; N]> = rows.into_iter().collect();
    html! {
        div.scroll hidden[rows.is_empty()] {
            table data-part=(part) {
                thead {
                    tr {
                        @for (name, heading) in columns {
                            th scope="col" data-cell=(name) { (heading) }
                        }
                    }
                }
                tbody {
                    @for row in &rows {
                        tr {
                            @for ((name, heading), cell) in columns.iter().zip(row) {
                                td data-cell=(name) data-label=(heading) { (cell) }
                            }
                        }
                    }
                }
            }
        }
        p.empty hidden[!rows.is_empty()] { (empty) }
    }
}
