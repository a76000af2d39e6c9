//! Named groups that may name each other: resolved, checked for cycles, flattened.

use core::ops::Range;
use std::collections::BTreeMap;

use super::reader::{Reader, quoted};
use crate::limits::GROUP_DEPTH_MAX;

/// One named group as written.
pub(crate) struct Group<T> {
    pub(crate) name: String,
    pub(crate) span: Range<usize>,
    pub(crate) items: Vec<T>,
    /// Groups it names, each with the place of the name.
    pub(crate) references: Vec<(String, Range<usize>)>,
}

/// What groups are made of.
pub(crate) trait Item: Copy {
    /// What a group is called in messages.
    const KIND: &'static str;
    /// Items in all groups together, at most.
    const TOTAL_MAX: usize;
    /// Takes out what is there twice.
    fn tidy(items: &mut Vec<Self>);
}

/// All groups of one kind, flattened: a name's index is its place in the file.
pub(crate) struct Groups<T> {
    index: BTreeMap<String, usize>,
    flat: Vec<Vec<T>>,
}

impl<T: Item> Groups<T> {
    /// Flattens `groups`; dangling names, cycles and bounds are reported.
    pub(crate) fn flatten(reader: &mut Reader<'_>, groups: &mut [Group<T>]) -> Self {
        let names = groups.iter().enumerate();
        let index = names.map(|(at, group)| (group.name.clone(), at)).collect();
        let flat = groups.iter_mut().map(|group| core::mem::take(&mut group.items)).collect();
        let states = vec![Visit::Unseen; groups.len()];
        let mut flattening = Flattening { groups, index, flat, states, path: Vec::new(), total: 0 };
        for at in 0..flattening.groups.len() {
            flattening.visit(reader, at);
        }
        Self { index: flattening.index, flat: flattening.flat }
    }

    /// The index of `name`; a dangling one is reported at `span`.
    pub(crate) fn find(
        &self,
        reader: &mut Reader<'_>,
        name: &str,
        span: &Range<usize>,
    ) -> Option<usize> {
        find::<T>(reader, &self.index, name, span)
    }

    /// Items of the group at `index`.
    pub(crate) fn items(&self, index: usize) -> &[T] {
        &self.flat[index]
    }
}

fn find<T: Item>(
    reader: &mut Reader<'_>,
    index: &BTreeMap<String, usize>,
    name: &str,
    span: &Range<usize>,
) -> Option<usize> {
    let found = index.get(name).copied();
    if found.is_none() {
        let message = format!("unknown {} {}", T::KIND, quoted(name));
        reader.unknown(span, message, name, index.keys().map(String::as_str), || None);
    }
    found
}

#[derive(Clone, Copy, PartialEq)]
enum Visit {
    Unseen,
    Open,
    /// With the number of groups below it on its longest path.
    Done(usize),
}

struct Flattening<'g, T> {
    groups: &'g [Group<T>],
    index: BTreeMap<String, usize>,
    flat: Vec<Vec<T>>,
    states: Vec<Visit>,
    path: Vec<usize>,
    total: usize,
}

impl<T: Item> Flattening<'_, T> {
    /// Flattens the group at `at` after those it names. Returns how deep it is.
    fn visit(&mut self, reader: &mut Reader<'_>, at: usize) -> usize {
        if let Visit::Done(depth) = self.states[at] {
            return depth;
        }
        self.states[at] = Visit::Open;
        self.path.push(at);
        let groups = self.groups;
        let mut depth = 0;
        for (name, span) in &groups[at].references {
            let Some(child) = find::<T>(reader, &self.index, name, span) else { continue };
            if self.states[child] == Visit::Open {
                self.report_cycle(reader, child, span);
            } else if self.path.len() > GROUP_DEPTH_MAX {
                Self::report_depth(reader, span);
            } else {
                depth = depth.max(self.visit(reader, child) + 1);
                self.extend(reader, at, child, span);
            }
        }
        self.path.pop();
        T::tidy(&mut self.flat[at]);
        let before = self.total;
        self.total += self.flat[at].len();
        if before <= T::TOTAL_MAX && self.total > T::TOTAL_MAX {
            Self::report_total(reader, &groups[at].span);
        }
        self.states[at] = Visit::Done(depth);
        if depth > GROUP_DEPTH_MAX {
            Self::report_depth(reader, &groups[at].span);
        }
        depth
    }

    fn extend(&mut self, reader: &mut Reader<'_>, at: usize, child: usize, span: &Range<usize>) {
        let more = self.flat[child].len();
        if self.total + self.flat[at].len() + more > T::TOTAL_MAX {
            return Self::report_total(reader, span);
        }
        let items = core::mem::take(&mut self.flat[child]);
        self.flat[at].extend_from_slice(&items);
        self.flat[child] = items;
    }

    fn report_cycle(&self, reader: &mut Reader<'_>, child: usize, span: &Range<usize>) {
        let from = self.path.iter().position(|&at| at == child).unwrap_or(0);
        let names = self.path[from..].iter().chain([&child]);
        let names: Vec<_> = names.map(|&at| self.groups[at].name.as_str()).collect();
        let message = format!("{} {} contains itself", T::KIND, quoted(names[0]));
        reader.error_hint(span, message, format!("the cycle is {}", names.join(" → ")));
    }

    fn report_total(reader: &mut Reader<'_>, span: &Range<usize>) {
        let message = format!("more than {} entries in all {} groups", T::TOTAL_MAX, T::KIND);
        reader.error(span, message);
    }

    fn report_depth(reader: &mut Reader<'_>, span: &Range<usize>) {
        let message = format!("{} groups are nested more than {GROUP_DEPTH_MAX} deep", T::KIND);
        reader.error(span, message);
    }
}
