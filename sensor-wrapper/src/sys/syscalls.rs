//! seccomp: system calls that no sensor needs are refused.
//!
//! A list of what is refused, not of what is allowed: extensions of third parties call whatever
//! they like. What is refused answers EPERM, but `clone3` says that it is not there, for its flags
//! lie in memory that no filter sees, and the C library then falls back to `clone`.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, apply_filter,
};

use crate::codes;
use crate::failure::{Failure, Outcome};
use crate::isolation::Refused;

/// Refused whatever their arguments.
const REFUSED: &[i64] = &[
    // Mounts and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    // The kernel's keys.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // The kernel itself, and what most of its holes were in.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_personality,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_settimeofday,
    libc::SYS_adjtimex,
];

#[cfg(target_arch = "x86_64")]
const OF_THIS_MACHINE: &[i64] = &[
    libc::SYS_kexec_file_load,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
];
#[cfg(not(target_arch = "x86_64"))]
const OF_THIS_MACHINE: &[i64] = &[];

/// A new namespace by `clone`.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Typing on somebody's terminal.
const CONTROLS: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// Refuses them from now on, for all that this process becomes and starts.
pub(crate) fn refuse(what: Refused) -> Outcome<()> {
    let absent = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let all = [
        (absent, libc::ENOSYS),
        (refused(what).map_err(failed)?, libc::EPERM),
    ];
    // Without the list, flags that nobody sees do no harm.
    for (calls, answer) in all.into_iter().skip(usize::from(!what.calls)) {
        let program = filter(with_x32(calls), answer.unsigned_abs()).map_err(failed)?;
        apply_filter(&program).map_err(|e| {
            Failure::new(codes::SANDBOX, "seccomp", "of the kernel", &e.to_string())
        })?;
    }
    Ok(())
}

type Calls = BTreeMap<i64, Vec<SeccompRule>>;

fn refused(what: Refused) -> Result<Calls, BackendError> {
    let mut calls = match what.calls {
        true => unneeded()?,
        false => Calls::new(),
    };
    calls.insert(libc::SYS_socket, sockets(what)?);
    Ok(calls)
}

fn unneeded() -> Result<Calls, BackendError> {
    let whole = REFUSED.iter().chain(OF_THIS_MACHINE);
    let mut calls: Calls = whole.map(|number| (*number, Vec::new())).collect();
    let flags = NAMESPACES.map(|flag| u64::from(flag.unsigned_abs()));
    let clone = flags.map(|flag| when(&[(0, SeccompCmpOp::MaskedEq(flag), flag)]));
    calls.insert(
        libc::SYS_clone,
        clone.into_iter().collect::<Result<_, _>>()?,
    );
    let ioctl = CONTROLS.map(|control| when(&[(1, SeccompCmpOp::Eq, control)]));
    calls.insert(
        libc::SYS_ioctl,
        ioctl.into_iter().collect::<Result<_, _>>()?,
    );
    Ok(calls)
}

/// Raw packets, virtual machines and the kernel's own channels; routes are asked for by the
/// resolver of the C library.
fn sockets(what: Refused) -> Result<Vec<SeccompRule>, BackendError> {
    let number = |n: i32| u64::from(n.unsigned_abs());
    let mut families = vec![libc::AF_PACKET, libc::AF_VSOCK, libc::AF_ALG];
    if what.network {
        families.extend([libc::AF_INET, libc::AF_INET6]);
    }
    let mut rules = families
        .into_iter()
        .map(|family| when(&[(0, SeccompCmpOp::Eq, number(family))]))
        .collect::<Result<Vec<_>, _>>()?;
    let netlink = (0, SeccompCmpOp::Eq, number(libc::AF_NETLINK));
    let not_routes = (2, SeccompCmpOp::Ne, number(libc::NETLINK_ROUTE));
    rules.push(when(&[netlink, not_routes])?);
    Ok(rules)
}

/// A rule that holds when all of its arguments compare so. All are 32 bits wide in the kernel.
fn when(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, BackendError> {
    let conditions = conditions
        .iter()
        .map(|(at, op, value)| {
            SeccompCondition::new(*at, SeccompCmpArgLen::Dword, op.clone(), *value)
        })
        .collect::<Result<_, _>>()?;
    SeccompRule::new(conditions)
}

/// The same calls have second numbers on a kernel with the x32 interface.
#[cfg(target_arch = "x86_64")]
fn with_x32(calls: Calls) -> Calls {
    const X32: i64 = 0x4000_0000;
    let second = calls.clone().into_iter().map(|(n, rules)| (n | X32, rules));
    second.chain(calls.clone()).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn with_x32(calls: Calls) -> Calls {
    calls
}

fn filter(calls: Calls, answer: u32) -> Result<BpfProgram, BackendError> {
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(
        calls,
        SeccompAction::Allow,
        SeccompAction::Errno(answer),
        arch,
    )?
    .try_into()
}

fn failed(e: BackendError) -> Failure {
    let target = std::env::consts::ARCH;
    Failure::new(codes::SANDBOX, "seccomp", target, &e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_fit_into_the_kernels_bound() {
        for network in [false, true] {
            let what = Refused {
                calls: true,
                network,
            };
            let program = filter(with_x32(refused(what).unwrap()), 1).unwrap();
            assert!(program.len() < 4096, "{}", program.len());
        }
    }
}
