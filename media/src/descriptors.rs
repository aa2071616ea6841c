//! How many files and sockets the process may have open: sources, agents and the database share them.

use std::io;

/// As many as are ever needed. A hard limit may be a thousand millions, which programs that look at each number do not like.
const ENOUGH: u64 = 65_536;

/// Lets the process have 65,536 descriptors, or as many as its hard limit allows, and gives the number that it may have. The
/// limit is 1,024 as a rule, which a few hundred connections use up.
///
/// # Errors
/// What the system says; the limit then is as before.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limits are written to a value that lives during the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let wanted = ENOUGH.min(limit.rlim_max);
    if limit.rlim_cur < wanted {
        limit.rlim_cur = wanted;
        // SAFETY: the limits are read from a value that lives during the call.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_what_is_allowed_and_stays_there() {
        let raised = raise_descriptor_limit().unwrap();
        let told = std::fs::read_to_string("/proc/self/limits").unwrap();
        let line = told.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let limits: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        assert!(limits[0] == raised && raised >= ENOUGH.min(limits[1]), "{line}");
        assert_eq!(raise_descriptor_limit().unwrap(), raised);
    }
}
