//! Where one thread may be overtaken by another. In the server this is nothing at all; the model test of the hub's
//! hand-over (`hub/tests/model`) lets others run at these points, and learns there where the one that is overtaken stands.

/// Others may run here: no lock is held. `name` and `state` say where who runs is, as far as no one else can see it; a
/// point says so until the same one says something else.
macro_rules! point {
    ($name:literal, $state:expr) => {
        #[cfg(test)]
        $crate::interleave::explored::reach($name, || {
            $crate::interleave::explored::digest(&$state)
        });
    };
}

pub(crate) use point;

/// Lets other tasks run now and then, as tokio's budget has it; whenever it can where all is explored.
pub(crate) async fn consume_budget() {
    #[cfg(test)]
    if explored::is_on() {
        return tokio::task::yield_now().await;
    }
    tokio::task::coop::consume_budget().await;
}

#[cfg(test)]
pub(crate) mod explored {
    //! The explorer's side: what is to be done at a point that this thread reaches.

    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::hash::{DefaultHasher, Hash, Hasher};
    use std::rc::Rc;

    use crate::model::{Access, RoomId, Scope};

    type Hook = Rc<dyn Fn(&'static str, u64)>;

    thread_local! {
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    }

    /// From here on `hook` is called at each point that this thread reaches, with its name and state; `None`: nothing is.
    pub(crate) fn set(hook: Option<Hook>) {
        HOOK.set(hook);
    }

    pub(crate) fn is_on() -> bool {
        HOOK.with_borrow(Option::is_some)
    }

    pub(crate) fn reach(name: &'static str, state: impl FnOnce() -> u64) {
        // Not borrowed during the call: who runs next reaches points too.
        let hook = HOOK.with_borrow(Clone::clone);
        if let Some(hook) = hook {
            hook(name, state());
        }
    }

    /// The same in every run.
    pub(crate) fn digest(state: &impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        hasher.finish()
    }

    /// What is followed, in an order of its own.
    pub(crate) fn access(access: &Access) -> (BTreeMap<RoomId, bool>, Vec<RoomId>) {
        let rooms = access.rooms.iter().map(|(room, member)| (*room, *member));
        (rooms.collect(), scope(&access.scope))
    }

    pub(crate) fn scope(scope: &Scope) -> Vec<RoomId> {
        match scope {
            Scope::Mine => Vec::new(),
            Scope::Rooms(rooms) => {
                let mut rooms = rooms.to_vec();
                rooms.sort_unstable();
                // Not the same as one's own, also when none is left.
                rooms.push(RoomId::LOBBY);
                rooms
            }
        }
    }
}
