//! Landlock: which files, ports, signals and abstract sockets are reached.

use std::io;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, NetPort, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope, path_beneath_rules,
};

use super::{Done, Missing};
use crate::codes;
use crate::failure::{Failure, Outcome};
use crate::isolation::Fence;
use crate::sandbox::Feature;

/// The newest interface that is asked for; an older kernel gives what it has.
const NEWEST: ABI = ABI::V6;

/// Restricts this process. What the kernel is too old for comes back.
pub(crate) fn restrict(fence: &Fence, done: &Done) -> Outcome<Vec<Missing>> {
    let enforced = ruleset(fence)
        .and_then(|ruleset| allowed(ruleset, fence, done))
        .and_then(RulesetCreated::restrict_self);
    match enforced {
        Ok(status) => lacks(&status, fence),
        Err(e) => Err(failed(&e.to_string())),
    }
}

fn ruleset(fence: &Fence) -> Result<RulesetCreated, RulesetError> {
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::Signal | Scope::AbstractUnixSocket)?;
    if fence.connect.is_some() {
        ruleset = ruleset.handle_access(AccessNet::ConnectTcp)?;
    }
    if fence.bind.is_some() {
        ruleset = ruleset.handle_access(AccessNet::BindTcp)?;
    }
    ruleset.create()
}

/// What is not there is left out.
fn allowed(
    ruleset: RulesetCreated,
    fence: &Fence,
    done: &Done,
) -> Result<RulesetCreated, RulesetError> {
    let read = AccessFs::from_read(NEWEST);
    let all = AccessFs::from_all(NEWEST);
    let own = fence.write_if_mounted.iter().filter(|_| done.mounted);
    let proc = done.own_proc.then_some("/proc");
    let port = |access: AccessNet| move |port: &u16| Ok(NetPort::new(*port, access));
    let connect = fence.connect.iter().flatten();
    let bind = fence.bind.iter().flatten();
    ruleset
        .add_rules(path_beneath_rules(&fence.read, read))?
        .add_rules(path_beneath_rules(proc, read))?
        .add_rules(path_beneath_rules(&fence.write, all))?
        .add_rules(path_beneath_rules(own, all))?
        .add_rules(connect.map(port(AccessNet::ConnectTcp)))?
        .add_rules(bind.map(port(AccessNet::BindTcp)))
}

fn lacks(status: &RestrictionStatus, fence: &Fence) -> Outcome<Vec<Missing>> {
    match status.landlock {
        LandlockStatus::NotImplemented => Err(failed("the kernel was built without it")),
        LandlockStatus::NotEnabled => Err(failed("it is off; boot with lsm=landlock,...")),
        LandlockStatus::Available { effective_abi, .. } if effective_abi < NEWEST => {
            let ports = fence.connect.is_some() || fence.bind.is_some();
            let network = ports && effective_abi < ABI::V4;
            let mut all = vec![(Feature::Landlock, missing(effective_abi))];
            all.extend(network.then(|| (Feature::Network, missing(effective_abi))));
            Ok(all)
        }
        LandlockStatus::Available { .. } => Ok(Vec::new()),
    }
}

fn missing(abi: ABI) -> String {
    let lacks = [
        (ABI::V2, "renames between folders"),
        (ABI::V3, "truncating files"),
        (ABI::V4, "TCP ports"),
        (ABI::V5, "device controls"),
        (ABI::V6, "signals and abstract sockets"),
    ];
    let lacks = lacks.iter().filter(|(since, _)| abi < *since);
    let lacks: Vec<&str> = lacks.map(|(_, what)| *what).collect();
    let abi = abi as i32;
    format!(
        "the kernel's Landlock (ABI {abi}) cannot limit {}",
        lacks.join(", ")
    )
}

fn failed(why: &str) -> Failure {
    Failure::new(codes::SANDBOX, "landlock", "of the kernel", why)
}

/// The kernel's interface number, 0 without Landlock. Restricts this process to find out.
pub(crate) fn abi() -> i32 {
    let status = ruleset(&Fence::default()).and_then(RulesetCreated::restrict_self);
    match status.map(|status| status.landlock) {
        Ok(LandlockStatus::Available {
            effective_abi,
            kernel_abi,
        }) => kernel_abi.unwrap_or(effective_abi as i32),
        _ => 0,
    }
}

/// Whether a path leads to something that this process may open.
pub(crate) fn opens(path: &Path) -> io::Result<()> {
    std::fs::File::open(path).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_old_kernel_lacks_is_named() {
        let text = missing(ABI::V4);
        assert!(
            text.ends_with("cannot limit device controls, signals and abstract sockets"),
            "{text}"
        );
    }
}
