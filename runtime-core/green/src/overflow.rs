//! An overflow ends its task, and nothing else.
//!
//! A stack ends in pages that can't be touched. Whoever goes beyond is sent `SIGSEGV`, whose handler is ours, with the
//! one that was there before behind it. If the address lies in the guard of the green task that the thread runs, the
//! handler has the thread go on in [`leave`], on a small stack of the thread's own, which suspends the green task for
//! ever. Its poll then ends the task with an error.
//!
//! Nothing on the overflowed stack is dropped, and the stack is never used again: futures on it may be linked into
//! queues, and threads may borrow from it. A lock that a value on it holds stays locked, as after `mem::forget`.
//!
//! The overflow may come in the middle of a library's function that holds a lock of the process: the allocator's, say.
//! If the instruction lies outside of the object that this code is in, the handler opens a part of the guard and
//! has the processor stop after each further instruction, until the library has returned. Only then is the stack left.
//! Where library and program are one object (a static libc), this can't be seen, and the lock stays locked.
#![allow(unsafe_code)]

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) use handler::install;

/// Here the system ends the process at an overflow.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub(crate) fn install() {}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod handler {
    use std::cell::Cell;
    use std::ffi::{c_int, c_void};
    use std::mem;
    use std::ops::Range;
    use std::ptr;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::sync::{Once, OnceLock};

    use crate::link::{Asked, Link};
    use crate::stack::guard;
    use crate::thread;

    /// What is kept closed of a guard while a library's function goes on in the rest of it.
    const LAST_BYTES: usize = 4096;
    /// Code that makes room for a large frame at once may be so far below the guard.
    const BEYOND: usize = 1 << 20;
    /// The flag by which the processor stops after one instruction.
    const TRAP: i64 = 1 << 8;
    /// The direction of string instructions, which a function may rely on.
    const DIRECTION: i64 = 1 << 10;

    thread_local! {
        /// A library's function goes on in the guard of the current stack.
        static STEPPING: Cell<bool> = const { Cell::new(false) };
    }

    /// The handlers that were there before ours.
    static BEFORE_FAULT: OnceLock<libc::sigaction> = OnceLock::new();
    static BEFORE_TRAP: OnceLock<libc::sigaction> = OnceLock::new();

    /// Where the code of this object is.
    static CODE: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(usize::MAX)];

    type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

    pub(crate) fn install() {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            if let Some(code) = own_code() {
                CODE[0].store(code.start, Relaxed);
                CODE[1].store(code.end, Relaxed);
            }
            install_for(libc::SIGTRAP, on_trap, &BEFORE_TRAP);
            install_for(libc::SIGSEGV, on_fault, &BEFORE_FAULT);
        });
    }

    fn install_for(signal: c_int, handler: Handler, place: &OnceLock<libc::sigaction>) {
        // SAFETY: all zeros is a value of this struct of integers and an optional pointer; what matters is set below.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        action.sa_sigaction = handler as libc::sighandler_t;
        // SAFETY: as above.
        let mut before: libc::sigaction = unsafe { mem::zeroed() };
        // SAFETY: nothing is changed; the pointer is to a struct of our own.
        if unsafe { libc::sigaction(signal, ptr::null(), &raw mut before) } != 0 {
            return;
        }
        // The one before runs inside ours: what it asked to be blocked is blocked, and no more.
        action.sa_mask = before.sa_mask;
        action.sa_flags =
            libc::SA_SIGINFO | libc::SA_ONSTACK | (before.sa_flags & libc::SA_NODEFER);
        // Before ours is installed: a fault may come at once.
        let _ = place.set(before);
        // SAFETY: the pointer is to a struct of our own, and the handler has the form that the flags announce.
        unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    }

    /// The addresses of the loaded object that this function is in.
    fn own_code() -> Option<Range<usize>> {
        unsafe extern "C" fn look(
            info: *mut libc::dl_phdr_info,
            _: usize,
            found: *mut c_void,
        ) -> c_int {
            // SAFETY: the system hands out its information, and `own_code` its variable.
            let (info, found) = unsafe { (&*info, &mut *found.cast::<Option<Range<usize>>>()) };
            for index in 0..usize::from(info.dlpi_phnum) {
                // SAFETY: so many headers there are.
                let header = unsafe { &*info.dlpi_phdr.add(index) };
                let start = (info.dlpi_addr + header.p_vaddr) as usize;
                let range = start..start + header.p_memsz as usize;
                let is_code = header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0;
                if is_code && range.contains(&(leave as *const () as usize)) {
                    *found = Some(range);
                    return 1;
                }
            }
            0
        }
        let mut found: Option<Range<usize>> = None;
        // SAFETY: the callback has the form that is asked for, and gets a pointer to our variable.
        unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut found).cast()) };
        found
    }

    fn is_own_code(address: usize) -> bool {
        (CODE[0].load(Relaxed)..CODE[1].load(Relaxed)).contains(&address)
    }

    /// The registers of the interrupted code.
    struct Registers<'a>(&'a mut libc::mcontext_t);

    impl Registers<'_> {
        /// SAFETY: `context` is what the kernel hands a handler of this form.
        unsafe fn of(context: *mut c_void) -> Self {
            // SAFETY: by this function's contract.
            Self(unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext })
        }

        fn get(&self, register: c_int) -> usize {
            self.0.gregs[register as usize] as usize
        }

        fn set(&mut self, register: c_int, value: usize) {
            self.0.gregs[register as usize] = value as i64;
        }

        fn set_flags(&mut self, on: i64, off: i64) {
            let flags = &mut self.0.gregs[libc::REG_EFL as usize];
            *flags = *flags & !off | on;
        }

        /// The thread goes on in `leave`.
        fn go_to_leave(&mut self, link: &Link) {
            STEPPING.set(false);
            self.set(libc::REG_RIP, leave as *const () as usize);
            // As after a call: the return address would be there.
            self.set(libc::REG_RSP, thread::exit_top() - 8);
            self.set(libc::REG_RDI, ptr::from_ref(link).expose_provenance());
            self.set_flags(0, TRAP | DIRECTION);
        }
    }

    /// Suspends the green task whose stack has overflowed. It runs on the thread's exit stack.
    unsafe extern "C" fn leave(link: *const Link) -> ! {
        // SAFETY: the handler has it from the thread-local of the running green task.
        unsafe { &*link }.ask(Asked::Overflowed);
        // Nobody resumes it.
        std::process::abort()
    }

    extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        // SAFETY: null, or that of the green task that the thread runs, which lives as long as it runs.
        if let Some(link) = unsafe { Link::current().as_ref() } {
            // SAFETY: the kernel hands a handler of this form its information, with the address for this signal.
            let address = unsafe { (*info).si_addr() }.addr();
            // SAFETY: as the kernel hands it out.
            let mut registers = unsafe { Registers::of(context) };
            if link.guard.contains(&address) && is_on(link, registers.get(libc::REG_RSP)) {
                if is_own_code(registers.get(libc::REG_RIP)) || !go_on(link, &mut registers) {
                    registers.go_to_leave(link);
                }
                return;
            }
        }
        hand_on(BEFORE_FAULT.get(), signal, info, context);
    }

    /// Whether the stack pointer belongs to that stack, or has just left it at its end.
    fn is_on(link: &Link, stack_pointer: usize) -> bool {
        stack_pointer < link.base && stack_pointer > link.guard.start.saturating_sub(BEYOND)
    }

    /// Lets a library's function come to its end. False: there is no room for that.
    fn go_on(link: &Link, registers: &mut Registers<'_>) -> bool {
        let open = link.guard.start + LAST_BYTES..link.guard.end;
        // SAFETY: pages of a guard; a stack that has overflowed is never used again.
        if STEPPING.get() || !unsafe { guard::remove(open.start, open.len()) } {
            return false;
        }
        STEPPING.set(true);
        registers.set_flags(TRAP, 0);
        true
    }

    extern "C" fn on_trap(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        if !STEPPING.get() {
            return hand_on(BEFORE_TRAP.get(), signal, info, context);
        }
        // SAFETY: null, or that of the green task that the thread runs, which lives as long as it runs.
        let link = unsafe { Link::current().as_ref() };
        // SAFETY: as the kernel hands it out.
        let mut registers = unsafe { Registers::of(context) };
        if let Some(link) = link
            && is_own_code(registers.get(libc::REG_RIP))
        {
            registers.go_to_leave(link);
        } else {
            registers.set_flags(TRAP, 0);
        }
    }

    /// Has the handler that was there before do its part.
    fn hand_on(
        before: Option<&libc::sigaction>,
        signal: c_int,
        info: *mut libc::siginfo_t,
        context: *mut c_void,
    ) {
        let handler = before.map_or(libc::SIG_DFL, |before| before.sa_sigaction);
        if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
            // The instruction is tried again, and ends the process; a trap goes on to the default at the next one.
            // SAFETY: all zeros is a value of it, and means the default action.
            let default: libc::sigaction = unsafe { mem::zeroed() };
            // SAFETY: the pointer is to a struct of our own.
            unsafe { libc::sigaction(signal, &raw const default, ptr::null_mut()) };
            if signal == libc::SIGTRAP {
                // A trap is not tried again by itself.
                // SAFETY: the default action ends the process.
                unsafe { libc::raise(signal) };
            }
        } else if before.is_some_and(|before| before.sa_flags & libc::SA_SIGINFO != 0) {
            // SAFETY: it was installed as one of this form, and is neither of the two numbers that are none.
            let handler = unsafe { mem::transmute::<libc::sighandler_t, Handler>(handler) };
            handler(signal, info, context);
        } else {
            // SAFETY: as above, of the other form.
            let handler =
                unsafe { mem::transmute::<libc::sighandler_t, extern "C" fn(c_int)>(handler) };
            handler(signal);
        }
    }
}
