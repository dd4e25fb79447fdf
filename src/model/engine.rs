//! The engine that computes the model: ONNX Runtime where a good library is found, else the embedded one (tract).
//!
//! The choice is made once per process, because `ort` keeps its engine in a global: later calls of
//! [`Engine::start`] get the engine that the first call chose.

use std::ffi::CStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::environment::Environment;
use thiserror::Error;

use super::type_info::answered_once;

/// Which engine is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// ONNX Runtime if a good library is found in the usual places, else the embedded engine.
    #[default]
    Auto,
    /// ONNX Runtime from this library file, and no other.
    OnnxRuntime(PathBuf),
    /// The embedded engine.
    Embedded,
}

/// Why no engine could be started.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The library named by the user is no good.
    #[error("cannot use {path} as ONNX Runtime: {why}; name another with --engine, or leave it out", path = .path.display())]
    Library {
        /// The library file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The engine would not start.
    #[error("the {name} engine did not start: {why}")]
    Start {
        /// Which engine.
        name: String,
        /// What it said.
        why: String,
    },
}

/// A running engine.
#[derive(Clone)]
pub struct Engine {
    name: String,
    environment: Environment,
}

impl Engine {
    /// Starts an engine, or returns the one that runs in this process already.
    ///
    /// # Errors
    /// [`EngineError`] when the library asked for cannot be used or the engine does not start.
    pub fn start(choice: &EngineChoice) -> Result<Self, EngineError> {
        static RUNNING: OnceLock<Engine> = OnceLock::new();
        static STARTING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = RUNNING.get() {
            return Ok(engine.clone());
        }
        let engine = match choice {
            EngineChoice::Embedded => Self::embedded()?,
            EngineChoice::OnnxRuntime(path) => Self::onnx_runtime(path, probe(path))?,
            EngineChoice::Auto => {
                let good = candidates().into_iter().map(|path| (probe(&path), path)).find(|(found, _)| found.is_ok());
                good.map_or_else(Self::embedded, |(found, path)| Self::onnx_runtime(&path, found))?
            }
        };
        Ok(RUNNING.get_or_init(|| engine).clone())
    }

    /// Name and version, and where it was found: for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    fn embedded() -> Result<Self, EngineError> {
        let name = "embedded (tract)".to_owned();
        ort::set_api(answered_once(ort_tract::api()));
        let environment =
            ort::init().build().map_err(|error| EngineError::Start { name: name.clone(), why: error.to_string() })?;
        Ok(Self { name, environment })
    }

    /// With what [`probe`] found at `path`.
    fn onnx_runtime(path: &Path, found: Result<Library, String>) -> Result<Self, EngineError> {
        let Library { version, api } = found.map_err(|why| EngineError::Library { path: path.to_owned(), why })?;
        ort::set_api(answered_once(api));
        let name = format!("ONNX Runtime {version} ({})", path.display());
        let environment = ort::init()
            .with_telemetry(false)
            .build()
            .map_err(|error| EngineError::Start { name: name.clone(), why: error.to_string() })?;
        Ok(Self { name, environment })
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Engine").field(&self.name).finish()
    }
}

#[cfg(target_os = "windows")]
const LIBRARY: &str = "onnxruntime.dll";
#[cfg(target_vendor = "apple")]
const LIBRARY: &str = "libonnxruntime.dylib";
#[cfg(all(unix, not(target_vendor = "apple")))]
const LIBRARY: &str = "libonnxruntime.so";

/// Library files to try, best first: `ORT_DYLIB_PATH`, beside the executable, the user's data folder, `./runtime`,
/// and the system's own search path.
fn candidates() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    folders.extend(std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_owned())));
    folders.extend(user_data_folder().map(|folder| folder.join("antiphon")));
    folders.push(PathBuf::from("runtime"));
    let mut found: Vec<PathBuf> = std::env::var_os("ORT_DYLIB_PATH").into_iter().map(PathBuf::from).collect();
    found.extend(folders.iter().flat_map(|folder| libraries_in(folder)));
    found.push(PathBuf::from(LIBRARY));
    found
}

fn user_data_folder() -> Option<PathBuf> {
    let from = |variable: &str| std::env::var_os(variable).filter(|v| !v.is_empty()).map(PathBuf::from);
    if cfg!(windows) {
        from("APPDATA")
    } else if cfg!(target_vendor = "apple") {
        from("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        from("XDG_DATA_HOME").or_else(|| from("HOME").map(|home| home.join(".local/share")))
    }
}

/// The library under its plain name or with a version behind it, as wheels carry it; the newest name first.
fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let stem = LIBRARY.split('.').next().unwrap_or(LIBRARY);
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name == LIBRARY || (name.starts_with(&format!("{stem}.")) && !name.ends_with(".txt"))
        })
        .collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found
}

/// ONNX Runtime, loaded.
struct Library {
    version: String,
    api: ort::sys::OrtApi,
}

/// Loads the library and asks for its version and its functions, which must be those that this program was built for.
#[expect(unsafe_code, reason = "a shared library can only be asked for its functions by calling into it")]
fn probe(path: &Path) -> Result<Library, String> {
    // SAFETY: ONNX Runtime's documented entry point is called with its documented signature; a file that is a
    // shared library but not ONNX Runtime lacks the symbol. The library stays loaded, so the string stays valid.
    let (version, api) = unsafe {
        let library = libloading::Library::new(path).map_err(|error| error.to_string())?;
        let entry: libloading::Symbol<'_, unsafe extern "C" fn() -> *const ort::sys::OrtApiBase> =
            library.get(b"OrtGetApiBase").map_err(|_| "it has no OrtGetApiBase".to_owned())?;
        let base = entry();
        if base.is_null() {
            return Err("it gives no API".into());
        }
        let version = CStr::from_ptr(((*base).GetVersionString)()).to_string_lossy().into_owned();
        // A library that is too old gives none.
        let api = ((*base).GetApi)(ort::sys::ORT_API_VERSION).as_ref().cloned();
        std::mem::forget(library);
        (version, api)
    };
    let minor: u32 = version.split('.').nth(1).and_then(|part| part.parse().ok()).unwrap_or(0);
    if minor < ort::MINOR_VERSION {
        return Err(format!("it is version {version}, at least 1.{} is needed", ort::MINOR_VERSION));
    }
    let api = api.ok_or_else(|| format!("its version {version} lacks the functions of 1.{}", ort::MINOR_VERSION))?;
    Ok(Library { version, api })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_library_is_refused_with_its_name() {
        let error = Engine::start(&EngineChoice::OnnxRuntime("/nonexistent/libonnxruntime.so".into()))
            .expect_err("no such file");
        assert!(error.to_string().contains("/nonexistent/libonnxruntime.so"), "{error}");
    }
}
