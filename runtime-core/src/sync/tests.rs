//! Semaphore, queue, channel, oneshot and signal, against models and in corners.
