//! The texts of levels, each kept once.

use std::collections::HashMap;
use std::sync::Arc;

/// The number of a level's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Symbol(u32);

/// The texts of levels, each kept once for as long as somebody uses it.
#[derive(Debug, Default)]
pub(super) struct Levels {
    symbols: HashMap<Arc<str>, Symbol>,
    texts: Vec<Level>,
    /// Places in `texts` that stand empty.
    vacant: Vec<Symbol>,
}

#[derive(Debug)]
struct Level {
    text: Arc<str>,
    users: u32,
}

impl Levels {
    /// The number of `text`, if anybody uses it.
    pub(super) fn find(&self, text: &str) -> Option<Symbol> {
        self.symbols.get(text).copied()
    }

    /// The number of `text`, for one user more.
    pub(super) fn take(&mut self, text: &str) -> Symbol {
        if let Some(symbol) = self.find(text) {
            self.texts[symbol.0 as usize].users += 1;
            return symbol;
        }
        let text: Arc<str> = text.into();
        let level = Level {
            text: text.clone(),
            users: 1,
        };
        let symbol = if let Some(symbol) = self.vacant.pop() {
            self.texts[symbol.0 as usize] = level;
            symbol
        } else {
            self.texts.push(level);
            // There are no more texts than nodes, whose number is far below 2^32.
            Symbol((self.texts.len() - 1) as u32)
        };
        self.symbols.insert(text, symbol);
        symbol
    }

    /// Notes that one user less needs the text.
    pub(super) fn release(&mut self, symbol: Symbol) {
        let level = &mut self.texts[symbol.0 as usize];
        level.users -= 1;
        if level.users == 0 {
            let text = std::mem::replace(&mut level.text, Arc::from(""));
            self.symbols.remove(&text);
            self.vacant.push(symbol);
        }
    }
}
