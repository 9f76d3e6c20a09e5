//! What a thread does at the moment, which decides how its next loop runs.

use crate::team::Team;
use std::{cell::Cell, mem};

/// A thread's role.
#[derive(Default)]
pub(crate) enum Role {
    /// Its loops run on rayon's threads.
    #[default]
    Outside,
    /// Its loops run on active workers.
    Leader(Team),
    /// It is in a loop of active workers, who are all busy, or alone by choice: its loops run on this thread.
    InLoop,
}

thread_local! {
    static ROLE: Cell<Role> = const { Cell::new(Role::Outside) };
}

impl Role {
    /// Whether this thread is [`Role::Outside`].
    pub fn is_outside() -> bool {
        let role = ROLE.take();
        let outside = matches!(role, Self::Outside);
        ROLE.set(role);
        outside
    }

    /// Whether this thread is [`Role::InLoop`].
    pub fn is_in_loop() -> bool {
        let role = ROLE.take();
        let in_loop = matches!(role, Self::InLoop);
        ROLE.set(role);
        in_loop
    }
}

/// This thread's role until the guard is dropped, which restores the previous one.
pub(crate) struct RoleGuard(Role);

impl RoleGuard {
    pub fn enter(role: Role) -> Self {
        Self(ROLE.replace(role))
    }

    pub fn previous(&self) -> &Role {
        &self.0
    }
}

impl Drop for RoleGuard {
    fn drop(&mut self) {
        ROLE.set(mem::take(&mut self.0));
    }
}
