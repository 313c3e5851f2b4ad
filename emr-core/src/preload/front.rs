//! The rows of one level and the associations that are preloaded for them.

use std::ops::Range;
use std::sync::Arc;

use super::chain;
use super::gathered::{Gathered, KeySource, Target};
use super::keys::{Key, Keys};
use super::merge::merge;
use super::request::{self, Request};
use super::run::Context;
use super::spec::Spec;
use crate::association::{Ends, Record, Slot, fitting};
use crate::error::{Error, Result};
use crate::schema::{AssociationDef, Schema, Through};

/// No preload that a person writes is deeper; chains that lead in circles are.
const DEEPEST: usize = 64;

/// The rows of one level, and what is preloaded for them. Dropped half way, it gives back what it took out of slots.
pub(super) struct Front<'a> {
    owners: Vec<&'a mut (dyn Record + 'static)>,
    branches: Vec<Branch>,
    /// The schema or database that the owners were read from.
    prefix: Option<Arc<str>>,
    depth: usize,
}

/// One association on its way.
struct Branch {
    def: &'static AssociationDef,
    spec: Spec,
    way: Way,
    /// What becomes of each owner's slot.
    fates: Vec<Fate>,
    rows: Box<dyn Gathered>,
    target: Option<Arc<Target>>,
    state: State,
}

/// How the rows are found.
enum Way {
    /// By their keys.
    Keys(Ends),
    /// Along other associations, of which the first may be a chain of this level too.
    Chain(&'static [&'static str]),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its rows are not there.
    Open,
    /// Its rows are there and preloads go on in them.
    Gathered,
    /// Its slots are filled.
    Filled,
}

#[derive(Clone, Copy)]
enum Fate {
    /// It is loaded.
    Leave,
    /// It is loaded, and preloads go on in what it holds.
    Kept(usize),
    /// There is nothing to fetch.
    Empty,
    /// It takes the rows of a group, and gives up what it held.
    Group(usize, Option<usize>),
    /// It waits for the number of its group: an owner of this key.
    Key(u32, u32, Option<usize>),
}

impl<'a> Front<'a> {
    /// `None` where there is nothing to do.
    pub(super) fn new(
        owners: Vec<&'a mut (dyn Record + 'static)>,
        specs: Vec<Spec>,
        prefix: Option<Arc<str>>,
        depth: usize,
    ) -> Result<Option<Self>> {
        let Some(first) = owners.first() else { return Ok(None) };
        let schema = first.schema_of();
        let specs = merge(schema, specs)?;
        let specs = chain::expand(schema, specs, |spec| {
            let is_loaded = |owner: &&'a mut (dyn Record + 'static)| {
                owner.association(spec.association).is_some_and(Slot::is_loaded)
            };
            spec.force || !owners.iter().all(is_loaded)
        })?;
        if specs.is_empty() {
            return Ok(None);
        }
        if depth > DEEPEST {
            return Err(Error::invalid(format!(
                "the preload goes through more than {DEEPEST} levels: the chains of {} lead in circles",
                schema.name
            )));
        }
        let branches = specs.into_iter().map(|spec| Branch::new(schema, spec, &**first)).collect::<Result<_>>()?;
        let prefix = prefix.or_else(|| schema.prefix.map(Arc::from));
        Ok(Some(Front { owners, branches, prefix, depth }))
    }

    /// Says what to fetch: the requests, and which branches of this front they are for.
    pub(super) fn start(&mut self, context: &Context<'_>) -> Result<Vec<(usize, Request)>> {
        let mut requests = Vec::new();
        for (at, branch) in self.branches.iter_mut().enumerate() {
            branch.decide(&mut self.owners)?;
            requests.extend(branch.requests(context, self.prefix.as_deref())?.into_iter().map(|request| (at, request)));
        }
        Ok(requests)
    }

    /// The rows of one branch, where requests are put.
    pub(super) fn rows(&mut self, branch: usize) -> &mut dyn Gathered {
        &mut *self.branches[branch].rows
    }

    /// Calls the functions that give rows.
    pub(super) async fn call_functions(&mut self) -> Result<()> {
        for branch in &mut self.branches {
            if let (Some(function), Some(target)) = (&branch.spec.function, &branch.target) {
                let all = target.keys.all();
                let keys = target.keys.rows(&all).map(<[_]>::to_vec).collect();
                let rows = function.call(keys, branch.def).await?;
                branch.rows.adopt(rows, target)?;
            }
        }
        Ok(())
    }

    /// What was fetched by keys is there.
    pub(super) fn fetched(&mut self) {
        for branch in self.branches.iter_mut().filter(|branch| matches!(branch.way, Way::Keys(_))) {
            branch.state = State::Gathered;
        }
    }

    /// The next level: rows that were gathered and in which preloads go on.
    pub(super) fn below(&mut self) -> Result<Vec<Front<'_>>> {
        let mut fronts = Vec::new();
        for branch in &mut self.branches {
            if branch.state == State::Gathered && !branch.spec.nested.is_empty() {
                let nested = branch.spec.nested.clone();
                let own = branch.spec.query.as_ref().and_then(|query| query.from.prefix.as_deref());
                let own = own.or((branch.def.related)().prefix).map(Arc::from);
                let prefix = own.or_else(|| self.prefix.clone());
                fronts.extend(Front::new(branch.rows.rows(), nested, prefix, self.depth + 1)?);
            }
        }
        Ok(fronts)
    }

    /// Fills the slots with what was gathered.
    pub(super) fn fill(&mut self) {
        for branch in self.branches.iter_mut().filter(|branch| branch.state == State::Gathered) {
            branch.fill(&mut self.owners);
        }
    }

    /// Gathers the rows of chains whose first step is filled. False if there is none.
    pub(super) fn gather_chains(&mut self) -> Result<bool> {
        let open: Vec<&str> = self.branches.iter().filter(|b| b.state == State::Open).map(|b| b.def.field).collect();
        let mut any = false;
        for branch in self.branches.iter_mut().filter(|branch| branch.state == State::Open) {
            let Way::Chain(fields) = branch.way else { continue };
            if fields.first().is_some_and(|first| open.contains(first)) {
                continue;
            }
            branch.gather_chain(&self.owners, fields)?;
            any = true;
        }
        if !any && let Some(field) = open.first() {
            return Err(Error::invalid(format!("the chain `{field}` leads back to itself")));
        }
        Ok(any)
    }
}

impl Drop for Front<'_> {
    fn drop(&mut self) {
        for branch in &mut self.branches {
            branch.give_back(&mut self.owners);
        }
    }
}

impl Branch {
    fn new(schema: &'static Schema, spec: Spec, sample: &dyn Record) -> Result<Self> {
        let def = &schema.associations[spec.association];
        let Some(slot) = sample.association(spec.association) else {
            return Err(Error::invalid(format!(
                "{}.{} has no slot: a schema that is written by hand gives it by Syncable::slot and slot_mut",
                schema.name, def.field
            )));
        };
        let way = match def.through {
            Through::Chain(fields) => Way::Chain(fields),
            _ => Way::Keys(Ends::of(schema, def)?),
        };
        let rows = slot.gather();
        Ok(Branch { def, spec, way, fates: Vec::new(), rows, target: None, state: State::Open })
    }

    /// Decides what becomes of each slot.
    fn decide(&mut self, owners: &mut [&mut (dyn Record + 'static)]) -> Result<()> {
        self.fates.reserve_exact(owners.len());
        for owner in &mut *owners {
            let fate = match owner.association_mut(self.spec.association) {
                Some(slot) if slot.is_loaded() && !self.spec.force => {
                    if self.spec.nested.is_empty() {
                        Fate::Leave
                    } else {
                        Fate::Kept(self.rows.take(slot)?)
                    }
                }
                _ => Fate::Empty,
            };
            self.fates.push(fate);
        }
        match &self.way {
            Way::Keys(ends) => {
                let ends = ends.clone();
                self.find_keys(&ends, owners);
            }
            Way::Chain(_) => {
                for (at, fate) in self.fates.iter_mut().enumerate() {
                    match *fate {
                        Fate::Kept(kept) if !self.rows.is_ours(kept) => *fate = Fate::Group(at, Some(kept)),
                        Fate::Empty => *fate = Fate::Group(at, None),
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }

    fn find_keys(&mut self, ends: &Ends, owners: &[&mut (dyn Record + 'static)]) {
        let types: Vec<_> = (0..ends.owner_keys.len()).map(|n| ends.key_type(n)).collect();
        let mut keys = Keys::new(types.len());
        for (fate, owner) in self.fates.iter_mut().zip(owners) {
            let held = match *fate {
                // Others hold the row, so it cannot be changed: it is fetched once more.
                Fate::Kept(kept) if !self.rows.is_ours(kept) => Some(kept),
                Fate::Empty => None,
                _ => continue,
            };
            let values = ends.owner_keys.iter().zip(&types).map(|(&column, ty)| {
                let value = owner.column(column);
                if value.is_null() { None } else { fitting(value, *ty) }
            });
            if let Some(key) = values.collect::<Option<Key<'_>>>() {
                let (key, nth) = keys.add(key);
                *fate = Fate::Key(key, nth, held);
            }
        }
        if keys.is_empty() {
            return;
        }
        keys.number();
        let key = match ends.link {
            None => KeySource::Columns(ends.related_keys.clone()),
            Some(_) => KeySource::Cells(types.into()),
        };
        let target = Target { keys, key };
        for fate in &mut self.fates {
            if let Fate::Key(key, nth, held) = *fate {
                *fate = Fate::Group(self.rows.group(&target, key, nth), held);
            }
        }
        self.target = Some(Arc::new(target));
    }

    fn requests(&self, context: &Context<'_>, prefix: Option<&str>) -> Result<Vec<Request>> {
        let (Way::Keys(ends), Some(target), None) = (&self.way, &self.target, &self.spec.function) else {
            return Ok(Vec::new());
        };
        let chunks: Vec<Range<u32>> = request::chunks(ends, target, context);
        if chunks.len() > 1 && self.spec.query.as_ref().is_some_and(|query| query.limit.or(query.offset).is_some()) {
            return Err(Error::invalid(format!(
                "the query that preloads {}.{} has a limit, and its owners have more keys than one statement takes: \
                 write limit_per_parent",
                ends.owner.name, self.def.field
            )));
        }
        let one = |keys: Range<u32>| {
            let body = request::body(ends, self.def, &self.spec, target, &keys, prefix)?;
            Ok(Request { body, related: ends.related, sink: self.rows.sinks(target, keys) })
        };
        chunks.into_iter().map(one).collect()
    }

    fn gather_chain(&mut self, owners: &[&mut (dyn Record + 'static)], fields: &[&str]) -> Result<()> {
        for (fate, owner) in self.fates.iter().zip(owners) {
            if let Fate::Group(group, _) = *fate {
                let rows = &mut self.rows;
                chain::ends(&**owner, fields, &mut |row| rows.copy(group, row))?;
            }
        }
        self.state = State::Gathered;
        Ok(())
    }

    fn fill(&mut self, owners: &mut [&mut (dyn Record + 'static)]) {
        for (fate, owner) in self.fates.drain(..).zip(owners) {
            let Some(slot) = owner.association_mut(self.spec.association) else { continue };
            match fate {
                Fate::Leave => {}
                Fate::Kept(kept) => self.rows.put_back(kept, slot),
                Fate::Empty | Fate::Key(..) => self.rows.fill(None, slot),
                Fate::Group(group, _) => self.rows.fill(Some(group), slot),
            }
        }
        self.state = State::Filled;
    }

    fn give_back(&mut self, owners: &mut [&mut (dyn Record + 'static)]) {
        for (fate, owner) in self.fates.drain(..).zip(owners) {
            if let Fate::Kept(kept) | Fate::Group(_, Some(kept)) | Fate::Key(_, _, Some(kept)) = fate
                && let Some(slot) = owner.association_mut(self.spec.association)
            {
                self.rows.put_back(kept, slot);
            }
        }
    }
}
