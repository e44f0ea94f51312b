//! Who may have how many of a few connections: one tenant's lists are not to keep the others from theirs.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postrider_core::TenantId;
use tokio::sync::oneshot;

use crate::error::{Result, StoreError};

/// How long one waits for a share before it hears that the store is too busy.
const PATIENCE: Duration = Duration::from_secs(5);

/// The reader that a connection is lent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// People and programs of a tenant.
    Tenant(TenantId),
    /// The operator, of all tenants.
    Operator,
    /// The program itself.
    Background,
}

/// A few places for many readers. One reader never has all places, so the next reader finds a free one. While another reader
/// waits, one reader gets at most half of the places. Waiting readers are served in the order of their arrival.
#[derive(Debug)]
pub(crate) struct Shares {
    state: Mutex<State>,
    /// Of one, at any time.
    most: usize,
    /// Of one, while another waits.
    half: usize,
}

#[derive(Debug)]
struct State {
    free: usize,
    held: HashMap<Who, usize>,
    waiting: VecDeque<(Who, oneshot::Sender<Share>)>,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    shares: Arc<Shares>,
    who: Who,
}

impl Shares {
    pub(crate) fn new(places: u32) -> Arc<Self> {
        let places = usize::try_from(places).unwrap_or(usize::MAX);
        let state = Mutex::new(State { free: places, held: HashMap::new(), waiting: VecDeque::new() });
        Arc::new(Self { state, most: places.saturating_sub(1).max(1), half: (places / 2).max(1) })
    }

    /// Takes a place.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if none comes free in time.
    pub(crate) async fn take(self: &Arc<Self>, who: Who) -> Result<Share> {
        let receiver = {
            let mut state = self.lock();
            if self.may(&state, who) {
                return Ok(self.grant(&mut state, who));
            }
            let (sender, receiver) = oneshot::channel();
            state.waiting.push_back((who, sender));
            receiver
        };
        let given = tokio::time::timeout(PATIENCE, receiver).await;
        given.ok().and_then(std::result::Result::ok).ok_or_else(too_busy)
    }

    fn may(&self, state: &State, who: Who) -> bool {
        let held = state.held.get(&who).copied().unwrap_or(0);
        let another_waits = || state.waiting.iter().any(|(other, sender)| *other != who && !sender.is_closed());
        state.free > 0 && held < self.most && (held < self.half || !another_waits())
    }

    fn grant(self: &Arc<Self>, state: &mut State, who: Who) -> Share {
        state.free -= 1;
        *state.held.entry(who).or_default() += 1;
        Share { shares: Arc::clone(self), who }
    }

    fn give_back(self: &Arc<Self>, who: Who) {
        let mut state = self.lock();
        state.free += 1;
        if let Some(held) = state.held.get_mut(&who) {
            *held -= 1;
            if *held == 0 {
                state.held.remove(&who);
            }
        }
        state.waiting.retain(|(_, sender)| !sender.is_closed());
        let next = state.waiting.iter().position(|(who, _)| self.may(&state, *who));
        let next = next.and_then(|place| state.waiting.remove(place));
        let granted = next.map(|(who, sender)| (sender, self.grant(&mut state, who)));
        drop(state);
        // If the reader gave up meanwhile, dropping the share gives it back at once.
        if let Some((sender, share)) = granted {
            drop(sender.send(share));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shares.give_back(self.who);
    }
}

fn too_busy() -> StoreError {
    StoreError::Unavailable("too much is being read at once".to_owned())
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use uuid::Uuid;

    use super::*;

    type Taking = Pin<Box<dyn Future<Output = Result<Share>>>>;

    fn tenant(n: u128) -> Who {
        Who::Tenant(Uuid::from_u128(n).into())
    }

    fn take(shares: &Arc<Shares>, who: Who) -> Taking {
        let shares = Arc::clone(shares);
        Box::pin(async move { shares.take(who).await })
    }

    /// Whether it is its turn.
    async fn now(taking: &mut Taking) -> Option<Share> {
        tokio::select! {
            biased;
            share = taking => Some(share.expect("in time")),
            () = std::future::ready(()) => None,
        }
    }

    #[tokio::test]
    async fn somebody_else_finds_a_place_at_once() {
        let shares = Shares::new(4);
        let mut greedy = Vec::new();
        for _ in 0..3 {
            greedy.push(shares.take(tenant(1)).await.expect("free"));
        }
        let mut fourth = take(&shares, tenant(1));
        assert!(now(&mut fourth).await.is_none(), "never all of them");
        assert!(now(&mut take(&shares, tenant(2))).await.is_some());
    }

    #[tokio::test]
    async fn nobody_gets_more_than_half_while_another_waits() {
        let shares = Shares::new(4);
        let mut held: Vec<Share> = Vec::new();
        for _ in 0..3 {
            held.push(shares.take(tenant(1)).await.expect("free"));
        }
        let last = shares.take(tenant(2)).await.expect("free");
        let (mut more, mut other) = (take(&shares, tenant(1)), take(&shares, Who::Operator));
        assert!(now(&mut more).await.is_none() && now(&mut other).await.is_none());
        held.pop();
        assert!(now(&mut more).await.is_none(), "it has half of them");
        let other = now(&mut other).await.expect("its turn");
        drop((other, last));
        assert!(now(&mut more).await.is_some(), "nobody else waits");
    }

    #[tokio::test]
    async fn who_gives_up_takes_nothing_along() {
        let shares = Shares::new(1);
        let held = shares.take(tenant(1)).await.expect("free");
        let mut gives_up = take(&shares, tenant(2));
        assert!(now(&mut gives_up).await.is_none());
        let mut next = take(&shares, tenant(3));
        assert!(now(&mut next).await.is_none());
        drop(held);
        drop(gives_up);
        assert!(now(&mut next).await.is_some());
        assert_eq!(shares.lock().free, 1);
    }
}
