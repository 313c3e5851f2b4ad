//! What preloads fill.

use crate::schema::Syncable;

/// Where rows of `S` stand whose associations can be preloaded: one, a slice or `Vec`, and these with `Option` items,
/// of which the missing ones stay as they are.
#[diagnostic::on_unimplemented(
    message = "associations of `{S}` cannot be preloaded into `{Self}`",
    label = "expected a `{S}`, or a slice, `Vec` or `Option` of it"
)]
pub trait Preloadable<S> {
    /// Shows the rows.
    fn each<'a>(&'a mut self, visit: &mut dyn FnMut(&'a mut S));
}

impl<S: Syncable> Preloadable<S> for S {
    fn each<'a>(&'a mut self, visit: &mut dyn FnMut(&'a mut S)) {
        visit(self);
    }
}

impl<S: Syncable> Preloadable<S> for [S] {
    fn each<'a>(&'a mut self, visit: &mut dyn FnMut(&'a mut S)) {
        self.iter_mut().for_each(visit);
    }
}

impl<S: Syncable> Preloadable<S> for [&mut S] {
    fn each<'a>(&'a mut self, visit: &mut dyn FnMut(&'a mut S)) {
        for row in self {
            visit(row);
        }
    }
}

impl<S: Syncable> Preloadable<S> for [Option<S>] {
    fn each<'a>(&'a mut self, visit: &mut dyn FnMut(&'a mut S)) {
        self.iter_mut().flatten().for_each(visit);
    }
}

impl<S: Syncable> Preloadable<S> for Option<S> {
    fn each<'a>(&'a mut self, visit: &mut dyn FnMut(&'a mut S)) {
        self.iter_mut().for_each(visit);
    }
}

impl<S: Syncable, I> Preloadable<S> for Vec<I>
where
    [I]: Preloadable<S>,
{
    fn each<'a>(&'a mut self, visit: &mut dyn FnMut(&'a mut S)) {
        self.as_mut_slice().each(visit);
    }
}
