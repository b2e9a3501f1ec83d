//! Time as a dependency, so that tests do not wait.
use std::{fmt::Debug, time::Duration};

/// Where decisions take the time from.
pub trait Clock: Debug + Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;
    /// Time since some fixed point; never goes back.
    fn monotonic(&self) -> Duration;
}

impl Clock for std::sync::Arc<dyn Clock> {
    fn now_ms(&self) -> u64 {
        (**self).now_ms()
    }

    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct SystemClock;

impl SystemClock {
    /// The clock of the machine.
    pub fn new() -> Self {
        Self
    }
}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic(&self) -> Duration {
        use std::{sync::OnceLock, time::Instant};
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }
}

// `std::time` panics here.
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        js_sys::Date::now() as u64
    }

    fn monotonic(&self) -> Duration {
        use js_sys::Reflect;
        use wasm_bindgen::{JsCast as _, JsValue};

        thread_local!(static PERFORMANCE: Option<web_sys::Performance> = {
            Reflect::get(&js_sys::global(), &JsValue::from_str("performance"))
                .ok()
                .filter(JsValue::is_object)
                .map(JsValue::unchecked_into)
        });
        let ms = PERFORMANCE.with(|performance| performance.as_ref().map(|p| p.now()));
        Duration::from_secs_f64(ms.unwrap_or_else(js_sys::Date::now).max(0.0) / 1e3)
    }
}
