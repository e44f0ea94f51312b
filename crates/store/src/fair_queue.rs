//! A bounded batch from an unbounded crowd: tenants take turns, so that a burst of one does not
//! hold up the others.

use std::collections::{HashMap, VecDeque};

use postrider_core::TenantId;

/// Waiting items, each with a weight, taken tenant by tenant.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    waiting: HashMap<TenantId, VecDeque<(usize, T)>>,
    turns: VecDeque<TenantId>,
    length: usize,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { waiting: HashMap::new(), turns: VecDeque::new(), length: 0 }
    }
}

impl<T> FairQueue<T> {
    /// How many wait.
    pub(crate) const fn len(&self) -> usize {
        self.length
    }

    /// Adds an item behind those of the same tenant.
    pub(crate) fn push(&mut self, tenant_id: TenantId, weight: usize, item: T) {
        let own = self.waiting.entry(tenant_id).or_insert_with(|| {
            self.turns.push_back(tenant_id);
            VecDeque::new()
        });
        own.push_back((weight, item));
        self.length += 1;
    }

    /// Takes at least one item, and more while they weigh at most `weight` together and are at most
    /// `count`.
    pub(crate) fn take(&mut self, count: usize, weight: usize) -> Vec<T> {
        let mut taken = Vec::new();
        let mut load = 0;
        while taken.len() < count {
            let Some(tenant_id) = self.turns.front().copied() else { break };
            let Some(own) = self.waiting.get_mut(&tenant_id) else { break };
            let next = own.front().map_or(0, |(weight, _)| *weight);
            if !taken.is_empty() && load + next > weight {
                break;
            }
            self.turns.pop_front();
            if let Some((weight, item)) = own.pop_front() {
                load += weight;
                taken.push(item);
            }
            if own.is_empty() {
                self.waiting.remove(&tenant_id);
            } else {
                self.turns.push_back(tenant_id);
            }
        }
        self.length -= taken.len();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(n: u128) -> TenantId {
        TenantId::from(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn tenants_take_turns() {
        let mut queue = FairQueue::default();
        (0..5).for_each(|n| queue.push(tenant(1), 1, ("burst", n)));
        queue.push(tenant(2), 1, ("other", 0));
        assert_eq!(queue.take(3, 100), [("burst", 0), ("other", 0), ("burst", 1)]);
        assert_eq!(queue.take(9, 100).len(), 3);
        assert!(queue.waiting.is_empty());
        assert!(queue.take(9, 100).is_empty());
    }

    #[test]
    fn a_batch_is_bounded_but_never_empty() {
        let mut queue = FairQueue::default();
        for weight in [500, 10, 10, 95] {
            queue.push(tenant(1), weight, weight);
        }
        assert_eq!(queue.take(9, 100), [500]);
        assert_eq!(queue.take(9, 100), [10, 10]);
        assert_eq!(queue.take(9, 100), [95]);
    }
}
