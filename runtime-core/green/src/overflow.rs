//! A stack overflow ends only its task.
//!
//! A stack ends in pages that can't be touched. Code that goes beyond gets `SIGSEGV`. Our handler runs first, and
//! calls the previous handler if necessary. If the address is in the guard of the green task that the thread runs, the
//! handler lets the thread continue in [`leave`], on a small stack of the thread. `leave` suspends the green task for
//! ever, and its poll then ends the task with an error.
//!
//! Nothing on the overflowed stack is dropped, and the stack is never used again: futures on it may be linked into
//! queues, and threads may borrow from it. If a value on it holds a lock, the lock stays locked, as after
//! `mem::forget`.
//!
//! The overflow may happen in a library function that holds a lock of the process, such as the allocator's. If the
//! instruction lies outside the object that contains this code, the handler opens a part of the guard and lets the
//! processor stop after each further instruction, until the library function has returned. Only then does it leave the
//! stack. It does the same while the thread is [in the middle](runtime_kernel::thread_stack::in_the_middle) of
//! something in this project, such as one of its locks. If that needs more than the rest of the guard, the process
//! ends. If library and program are one object (a static libc), the handler can't see this, and the lock stays locked.
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

    use runtime_kernel::thread_stack;

    use crate::exit_stack;
    use crate::link::{Asked, Link};
    use crate::stack::guard;

    /// The part of a guard that stays closed while a library function continues in the rest of it.
    const LAST_BYTES: usize = 4096;
    /// Code that makes room for a large frame at once may be this far below the guard.
    const MAX_BELOW_GUARD: usize = 1 << 20;
    /// The flag that makes the processor stop after one instruction.
    const TRAP: i64 = 1 << 8;
    /// The direction of string instructions, which a function may rely on.
    const DIRECTION: i64 = 1 << 10;

    thread_local! {
        /// The lowest address of the guard in which a function continues; 0 if none does.
        static STEPPING: Cell<usize> = const { Cell::new(0) };
    }

    /// The handlers that were installed before ours.
    static BEFORE_FAULT: OnceLock<libc::sigaction> = OnceLock::new();
    static BEFORE_TRAP: OnceLock<libc::sigaction> = OnceLock::new();

    /// The addresses of this object's code.
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
        // SAFETY: all zeros is a value of this struct of integers and an optional pointer; the fields that matter are
        // set below.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        action.sa_sigaction = handler as libc::sighandler_t;
        // SAFETY: as above.
        let mut before: libc::sigaction = unsafe { mem::zeroed() };
        // SAFETY: nothing is changed; the pointer is to our own struct.
        if unsafe { libc::sigaction(signal, ptr::null(), &raw mut before) } != 0 {
            return;
        }
        // The previous handler runs inside ours: we block the signals that it asked for, and no others.
        action.sa_mask = before.sa_mask;
        action.sa_flags =
            libc::SA_SIGINFO | libc::SA_ONSTACK | (before.sa_flags & libc::SA_NODEFER);
        // Before ours is installed, because a fault may happen at once.
        let _ = place.set(before);
        // SAFETY: the pointer is to our own struct, and the handler has the form that the flags announce.
        unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    }

    /// The addresses of the loaded object that contains this function.
    fn own_code() -> Option<Range<usize>> {
        /// # Safety
        /// Called by `dl_iterate_phdr` with a pointer to an `Option<Range<usize>>` that nobody else uses during the
        /// call.
        unsafe extern "C" fn look(
            info: *mut libc::dl_phdr_info,
            _: usize,
            found: *mut c_void,
        ) -> c_int {
            // SAFETY: the system passes its information, and `own_code` passes its variable.
            let (info, found) = unsafe { (&*info, &mut *found.cast::<Option<Range<usize>>>()) };
            for index in 0..usize::from(info.dlpi_phnum) {
                // SAFETY: there are this many headers.
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
        /// # Safety
        /// `context` is what the kernel passes to a handler of this form, and nothing else uses it during `'_`.
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

        /// Makes the thread continue in `leave`.
        fn go_to_leave(&mut self, link: &Link) {
            STEPPING.set(0);
            self.set(libc::REG_RIP, leave as *const () as usize);
            // As after a call: the return address would be there.
            self.set(libc::REG_RSP, exit_stack::top() - 8);
            self.set(libc::REG_RDI, ptr::from_ref(link).expose_provenance());
            self.set_flags(0, TRAP | DIRECTION);
        }
    }

    /// Suspends the green task whose stack has overflowed. It runs on the thread's exit stack.
    ///
    /// # Safety
    /// `link` belongs to the green task that the thread runs. The task is suspended for good.
    unsafe extern "C" fn leave(link: *const Link) -> ! {
        // SAFETY: the handler has it from the thread-local of the running green task.
        unsafe { Link::ask(link, Asked::Overflowed) };
        // It is never resumed.
        std::process::abort()
    }

    extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        // SAFETY: null, or that of the green task that the thread runs, which lives as long as it runs.
        if let Some(link) = unsafe { Link::current().as_ref() } {
            // SAFETY: the kernel passes its information to a handler of this form; for this signal it has an address.
            let address = unsafe { (*info).si_addr() }.addr();
            // SAFETY: `context` is as the kernel passed it.
            let mut registers = unsafe { Registers::of(context) };
            if link.guard.contains(&address) && is_on(link, registers.get(libc::REG_RSP)) {
                if may_leave(&registers) || !go_on(link, &mut registers) {
                    if thread_stack::is_in_the_middle() {
                        end_process();
                    }
                    registers.go_to_leave(link);
                }
                return;
            }
        }
        hand_on(BEFORE_FAULT.get(), signal, info, context);
    }

    /// Whether no other code waits for what the interrupted code does.
    fn may_leave(registers: &Registers<'_>) -> bool {
        is_own_code(registers.get(libc::REG_RIP)) && !thread_stack::is_in_the_middle()
    }

    /// Other code would wait for ever.
    fn end_process() -> ! {
        const MESSAGE: &[u8] =
            b"a green task has overflowed its stack while it held a lock of its runtime: \
            give it a larger one with `green::Builder::stack_bytes`\n";
        // SAFETY: the bytes are static.
        unsafe { libc::write(libc::STDERR_FILENO, MESSAGE.as_ptr().cast(), MESSAGE.len()) };
        // Async-signal-safe.
        std::process::abort()
    }

    /// Whether the stack pointer belongs to that stack, or has just left it at its end.
    fn is_on(link: &Link, stack_pointer: usize) -> bool {
        stack_pointer < link.base
            && stack_pointer > link.guard.start.saturating_sub(MAX_BELOW_GUARD)
    }

    /// Lets a library function run to its end. `false` if there is no room for that.
    fn go_on(link: &Link, registers: &mut Registers<'_>) -> bool {
        let open = link.guard.start + LAST_BYTES..link.guard.end;
        // SAFETY: these are pages of a guard, and a stack that has overflowed is never used again.
        if STEPPING.get() == link.guard.start || !unsafe { guard::remove(open.start, open.len()) } {
            return false;
        }
        link.guard_is_open.set(true);
        STEPPING.set(link.guard.start);
        registers.set_flags(TRAP, 0);
        true
    }

    extern "C" fn on_trap(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        let stepping = STEPPING.get();
        if stepping == 0 {
            return hand_on(BEFORE_TRAP.get(), signal, info, context);
        }
        // SAFETY: null, or that of the green task that the thread runs, which lives as long as it runs.
        let link = unsafe { Link::current().as_ref() };
        // SAFETY: `context` is as the kernel passed it.
        let mut registers = unsafe { Registers::of(context) };
        let on_it = link.filter(|link| {
            link.guard.start == stepping && is_on(link, registers.get(libc::REG_RSP))
        });
        match on_it {
            Some(link) if may_leave(&registers) => registers.go_to_leave(link),
            Some(_) => registers.set_flags(TRAP, 0),
            // The thread has left that stack, because the function waits or runs something on the thread's own stack.
            // When the function continues, it has the rest of the guard.
            None => {
                STEPPING.set(0);
                registers.set_flags(0, TRAP);
            }
        }
    }

    /// Calls the handler that was installed before.
    fn hand_on(
        before: Option<&libc::sigaction>,
        signal: c_int,
        info: *mut libc::siginfo_t,
        context: *mut c_void,
    ) {
        let handler = before.map_or(libc::SIG_DFL, |before| before.sa_sigaction);
        if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
            // The instruction is repeated and ends the process; a trap reaches the default action at the next
            // instruction.
            // SAFETY: all zeros is a value of it, and means the default action.
            let default: libc::sigaction = unsafe { mem::zeroed() };
            // SAFETY: the pointer is to our own struct.
            unsafe { libc::sigaction(signal, &raw const default, ptr::null_mut()) };
            if signal == libc::SIGTRAP {
                // A trap is not repeated by itself.
                // SAFETY: the default action ends the process.
                unsafe { libc::raise(signal) };
            }
        } else if before.is_some_and(|before| before.sa_flags & libc::SA_SIGINFO != 0) {
            // SAFETY: it was installed as a handler of this form, and is neither of the two numbers that are not
            // handlers.
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
