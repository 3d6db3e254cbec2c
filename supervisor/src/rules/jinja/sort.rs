//! `sorted(items, key=…, reverse=…)`.

use std::cmp::Ordering;

use super::budget::Budget;
use super::compare::order;
use super::error::Result;
use super::value::Value;

/// Sorted by a key, stably.
///
/// # Errors
/// Where a key cannot be made, or two have no order.
pub fn by<T>(
    items: Vec<T>,
    mut key: impl FnMut(&T) -> Result<Value>,
    reverse: bool,
    budget: &Budget,
) -> Result<Vec<T>> {
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        keyed.push((key(&item)?, item));
    }
    let mut wrong = None;
    let mut compare = |a: &Value, b: &Value| match wrong.is_some() {
        true => Ordering::Equal,
        false => order(a, b, "<", budget).map_or_else(
            |error| {
                wrong = Some(error);
                Ordering::Equal
            },
            |found| found.unwrap_or(Ordering::Equal),
        ),
    };
    merge_sort(&mut keyed, &mut |a, b| match reverse {
        true => compare(&b.0, &a.0),
        false => compare(&a.0, &b.0),
    });
    match wrong {
        Some(error) => Err(error),
        None => Ok(keyed.into_iter().map(|(_, item)| item).collect()),
    }
}

/// NaN and errors make orders that are none, of which the standard library's sort may complain
/// by a panic; this one takes any.
fn merge_sort<T>(items: &mut Vec<T>, compare: &mut impl FnMut(&T, &T) -> Ordering) {
    if items.len() < 2 {
        return;
    }
    let mut right = items.split_off(items.len() / 2);
    merge_sort(items, compare);
    merge_sort(&mut right, compare);
    let left = std::mem::take(items);
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = match compare(b, a) {
            Ordering::Less => right.next(),
            _ => left.next(),
        };
        items.extend(next);
    }
    items.extend(left);
    items.extend(right);
}
