//! From a change to those who want to hear of it, in constant time.

mod follow;

use std::collections::HashMap;
use std::sync::Arc;

use emr_core::Error;
use emr_core::watch::{Event, Op, Txn};
use smallvec::SmallVec;

use crate::commit::{Commit, Pick, Picks};
use crate::interest::{Below, Interest, Names, Ops};
use crate::key::{Key, Said, both};
use crate::mailbox::Mailbox;
use crate::rule::{Rule, Seen};
use crate::tables::Tables;

/// Who wants to hear of which changes.
pub(crate) struct Routes {
    tables: Vec<TableRoutes>,
    boxes: Vec<Option<Routed>>,
    free: Vec<u32>,
    /// Boxes with changes of the commit that is being routed.
    touched: Vec<u32>,
    /// The last commit that changed each table.
    last: Vec<u64>,
}

#[derive(Default)]
struct TableRoutes {
    all: Entries,
    lookups: Vec<Lookup>,
}

struct Lookup {
    columns: Names,
    keys: HashMap<Key, Entries>,
}

/// By box, and by subject within it.
type Entries = HashMap<(u32, u32), Entry>;

#[derive(Clone)]
struct Entry {
    ops: Ops,
    below: SmallVec<[Arc<Below>; 1]>,
    label: Option<Arc<str>>,
    rule: Option<Arc<Rule>>,
    prefix: Option<Arc<str>>,
}

struct Routed {
    mailbox: Arc<Mailbox>,
    places: HashMap<u32, Vec<Place>>,
    picks: Vec<Pick>,
}

/// Where an entry stands: its table, and its lookup with the key there.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    table: usize,
    key: Option<(usize, Key)>,
}

/// An entry that matched, with what follows from the row.
struct Match {
    number: u32,
    subject: u32,
    entry: Entry,
    /// The row was not in view before.
    enters: bool,
}

impl Routes {
    pub(crate) fn new(tables: usize) -> Self {
        let last = vec![0; tables];
        let tables = (0..tables).map(|_| TableRoutes::default()).collect();
        Routes { tables, boxes: Vec::new(), free: Vec::new(), touched: Vec::new(), last }
    }

    /// Whether a table was changed after a commit.
    pub(crate) fn is_changed_since(&self, table: usize, version: u64) -> bool {
        self.last[table] > version
    }

    /// A place for a mailbox that `make` makes for its number.
    pub(crate) fn open(&mut self, make: impl FnOnce(u32) -> Mailbox) -> Arc<Mailbox> {
        let number = self.free.pop().unwrap_or_else(|| {
            self.boxes.push(None);
            u32::try_from(self.boxes.len() - 1).unwrap_or(u32::MAX)
        });
        let mailbox = Arc::new(make(number));
        let routed = Routed { mailbox: Arc::clone(&mailbox), places: HashMap::new(), picks: Vec::new() };
        self.boxes[number as usize] = Some(routed);
        mailbox
    }

    pub(crate) fn close(&mut self, number: u32) {
        let Some(routed) = self.boxes.get_mut(number as usize).and_then(Option::take) else { return };
        for (subject, places) in routed.places {
            self.remove_places(number, subject, places);
        }
        self.free.push(number);
    }

    pub(crate) fn mailboxes(&self) -> impl Iterator<Item = &Arc<Mailbox>> {
        self.boxes.iter().flatten().map(|routed| &routed.mailbox)
    }

    pub(crate) fn add(
        &mut self,
        number: u32,
        subject: u32,
        interests: &[Interest],
        rule: Option<&Arc<Rule>>,
        prefix: Option<&Arc<str>>,
    ) {
        for interest in interests {
            let table = &mut self.tables[interest.table];
            let (entries, key) = match &interest.on {
                None => (&mut table.all, None),
                Some((columns, key)) => {
                    let at = table.lookups.iter().position(|lookup| lookup.columns == *columns).unwrap_or_else(|| {
                        table.lookups.push(Lookup { columns: columns.clone(), keys: HashMap::new() });
                        table.lookups.len() - 1
                    });
                    (table.lookups[at].keys.entry(key.clone()).or_default(), Some((at, key.clone())))
                }
            };
            let own_rule = rule.filter(|rule| interest.is_of_rule(rule));
            if let Some(entry) = entries.get_mut(&(number, subject)) {
                entry.ops = entry.ops.and(interest.ops);
                if let Some(below) = &interest.below
                    && !entry.below.iter().any(|known| known.is_same(below))
                {
                    entry.below.push(Arc::clone(below));
                }
                if own_rule.is_none() {
                    entry.rule = None;
                }
            } else {
                entries.insert(
                    (number, subject),
                    Entry {
                        ops: interest.ops,
                        below: interest.below.iter().cloned().collect(),
                        label: interest.label.clone(),
                        rule: own_rule.cloned(),
                        prefix: prefix.cloned(),
                    },
                );
                if let Some(Some(routed)) = self.boxes.get_mut(number as usize) {
                    routed.places.entry(subject).or_default().push(Place { table: interest.table, key });
                }
            }
        }
    }

    pub(crate) fn remove(&mut self, number: u32, subject: u32) {
        let Some(Some(routed)) = self.boxes.get_mut(number as usize) else { return };
        let places = routed.places.remove(&subject).unwrap_or_default();
        self.remove_places(number, subject, places);
    }

    fn remove_places(&mut self, number: u32, subject: u32, places: Vec<Place>) {
        for Place { table, key } in places {
            let table = &mut self.tables[table];
            match key {
                None => drop(table.all.remove(&(number, subject))),
                Some((lookup, key)) => {
                    let keys = &mut table.lookups[lookup].keys;
                    if let Some(entries) = keys.get_mut(&key) {
                        entries.remove(&(number, subject));
                        if entries.is_empty() {
                            keys.remove(&key);
                        }
                    }
                }
            }
        }
    }

    /// How many entries there are: nothing is left of what is dropped.
    pub(crate) fn len(&self) -> usize {
        let keyed = |table: &TableRoutes| {
            table.lookups.iter().flat_map(|lookup| lookup.keys.values()).map(HashMap::len).sum::<usize>()
        };
        self.tables.iter().map(|table| table.all.len() + keyed(table)).sum()
    }

    /// What a box has entries for.
    pub(crate) fn entries(&self, number: u32) -> Vec<Interest> {
        let Some(Some(routed)) = self.boxes.get(number as usize) else { return Vec::new() };
        let mut found = Vec::new();
        for (subject, place) in
            routed.places.iter().flat_map(|(subject, places)| places.iter().map(move |at| (subject, at)))
        {
            let table = &self.tables[place.table];
            let (entries, on) = match &place.key {
                None => (Some(&table.all), None),
                Some((at, key)) => {
                    let lookup = &table.lookups[*at];
                    (lookup.keys.get(key), Some((lookup.columns.clone(), key.clone())))
                }
            };
            if let Some(entry) = entries.and_then(|entries| entries.get(&(number, *subject))) {
                let mut interest = Interest::all(place.table, entry.ops);
                (interest.on, interest.label) = (on, entry.label.clone());
                found.push(interest);
            }
        }
        found
    }

    /// Whether something of a commit that is not whole yet waits for a box.
    pub(crate) fn is_busy(&self, number: u32) -> bool {
        matches!(self.boxes.get(number as usize), Some(Some(routed)) if !routed.picks.is_empty())
    }

    /// The boxes that have an entry exactly here.
    pub(crate) fn boxes_at(&self, interest: &Interest) -> Vec<u32> {
        let table = &self.tables[interest.table];
        let entries = match &interest.on {
            None => Some(&table.all),
            Some((columns, key)) => {
                let lookup = table.lookups.iter().find(|lookup| lookup.columns == *columns);
                lookup.and_then(|lookup| lookup.keys.get(key))
            }
        };
        let mut boxes: Vec<_> = entries.into_iter().flatten().map(|((number, _), _)| *number).collect();
        boxes.sort_unstable();
        boxes.dedup();
        boxes
    }

    /// Notes who gets the changes of a part of a commit, and what they want to hear of from now on.
    pub(crate) fn note(&mut self, tables: &Tables, version: u64, part: u32, txn: &Txn) {
        for (at, event) in (0..).zip(&txn.changes) {
            if let Some(table) = tables.of_event(event.watched()) {
                self.last[table] = version;
                self.note_event(tables, table, (part, at), event);
            }
        }
    }

    fn note_event(&mut self, tables: &Tables, table: usize, place: (u32, u32), event: &Event) {
        let mut plain: SmallVec<[u32; 8]> = SmallVec::new();
        let mut special = Vec::new();
        let routes = &self.tables[table];
        let mut take = |entries: &Entries, enters: bool| {
            for (&(number, subject), entry) in entries {
                if !entry.ops.has(event.op()) || entry.label.as_ref().is_some_and(|label| !event.has_label(label)) {
                    continue;
                }
                if entry.rule.is_none() && entry.below.iter().all(|below| below.is_idle(event)) {
                    plain.push(number);
                } else {
                    special.push(Match { number, subject, entry: entry.clone(), enters });
                }
            }
        };
        take(&routes.all, true);
        for lookup in &routes.lookups {
            if event.op() == Op::Truncate {
                lookup.keys.values().for_each(|entries| take(entries, false));
                continue;
            }
            let columns: SmallVec<[&str; 2]> = lookup.columns.iter().map(|name| &**name).collect();
            let [old, new] = both(event, &columns);
            let found = |side: &Said| match side {
                Said::Key(key) => lookup.keys.get(key),
                _ => None,
            };
            if let Some(entries) = found(&old) {
                take(entries, false);
            }
            if let Some(entries) = found(&new)
                && old != new
            {
                take(entries, true);
            }
            // Whose row it was nobody knows: all may look.
            if old == Said::Unknown || new == Said::Unknown {
                lookup.keys.values().for_each(|entries| take(entries, true));
            }
        }
        for number in plain {
            self.pick(number, place, None);
        }
        for found in special {
            self.note_match(tables, &found, place, event);
        }
    }

    fn note_match(&mut self, tables: &Tables, found: &Match, place: (u32, u32), event: &Event) {
        let seen = found.entry.rule.as_ref().map_or(Ok(Seen::AsIs), |rule| rule.see(event));
        match seen {
            Ok(Seen::Nothing) => return,
            Ok(Seen::AsIs) => self.pick(found.number, place, None),
            Ok(Seen::As(event)) => self.pick(found.number, place, Some(event)),
            Err(error) => return self.fail(found.number, error),
        }
        for below in &found.entry.below {
            match follow::follow(tables, below, found, event) {
                Ok((interests, is_open)) => {
                    let rule = found.entry.rule.clone();
                    self.add(found.number, found.subject, &interests, rule.as_ref(), found.entry.prefix.as_ref());
                    if is_open && let Some(Some(routed)) = self.boxes.get(found.number as usize) {
                        routed.mailbox.open();
                    }
                }
                Err(error) => self.fail(found.number, error),
            }
        }
    }

    fn fail(&mut self, number: u32, error: Error) {
        if let Some(Some(routed)) = self.boxes.get_mut(number as usize) {
            routed.picks.clear();
            routed.mailbox.end(Some(error));
        }
    }

    fn pick(&mut self, number: u32, (part, event): (u32, u32), shown: Option<Event>) {
        let Some(Some(routed)) = self.boxes.get_mut(number as usize) else { return };
        match routed.picks.last_mut() {
            // Several subjects of the box matched: the one that shows it as it is shows most.
            Some(last) if (last.part, last.event) == (part, event) => {
                if shown.is_none() {
                    last.shown = None;
                }
            }
            last => {
                if last.is_none() {
                    self.touched.push(number);
                }
                routed.picks.push(Pick { part, event, shown: shown.map(Box::new) });
            }
        }
    }

    /// Puts a whole commit into the mailboxes of those who get something of it.
    pub(crate) fn deliver(&mut self, version: u64, parts: &SmallVec<[Arc<Txn>; 1]>) {
        let all: usize = parts.iter().map(|txn| txn.changes.len()).sum();
        let origin = parts.last().and_then(|txn| txn.origin.as_ref());
        let mut whole: Option<Arc<Commit>> = None;
        for number in std::mem::take(&mut self.touched) {
            let Some(Some(routed)) = self.boxes.get_mut(number as usize) else { continue };
            if routed.picks.is_empty() {
                // Another box has taken the place of one that was closed meanwhile.
                continue;
            }
            let is_whole = routed.picks.len() == all && routed.picks.iter().all(|pick| pick.shown.is_none());
            let commit = |picks| Arc::new(Commit { version, parts: parts.clone(), picks });
            let own = if is_whole {
                // Kept for the next commit: a mailbox that gets one gets more.
                routed.picks.clear();
                Arc::clone(whole.get_or_insert_with(|| commit(Picks::All)))
            } else {
                commit(Picks::Some(std::mem::take(&mut routed.picks).into()))
            };
            if routed.mailbox.skipped.is_none() || routed.mailbox.skipped.as_ref() != origin {
                routed.mailbox.push(&own);
            }
        }
    }

    /// Forgets what was noted of a commit that is given up, and says to whom it would have gone.
    pub(crate) fn give_up(&mut self) -> Vec<Arc<Mailbox>> {
        let touched = std::mem::take(&mut self.touched);
        let mut boxes = Vec::new();
        for number in touched {
            if let Some(Some(routed)) = self.boxes.get_mut(number as usize) {
                routed.picks = Vec::new();
                boxes.push(Arc::clone(&routed.mailbox));
            }
        }
        boxes
    }
}

impl Interest {
    /// Rules are for the rows that were subscribed to, wherever they come from.
    fn is_of_rule(&self, rule: &Rule) -> bool {
        self.schema.is_some_and(|schema| schema == rule.schema)
    }
}
