//! Finding and opening a device.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use cpal::traits::{DeviceTrait as _, HostTrait as _, StreamTrait as _};
use cpal::{
    BufferSize, Device, ErrorKind, FromSample, Host, OutputCallbackInfo, SampleFormat, SizedSample, Stream,
    StreamConfig, SupportedBufferSize,
};
use crossbeam_channel::Sender;

use super::callback::Callback;
use super::{SoundSettings, Surroundings};
use crate::ports::realtime::raise_sound;
use crate::synth::{Mixer, Resting};

/// A device that sounds.
pub(super) struct Open {
    /// Dropping it closes the device.
    _stream: Stream,
    /// The device, its rate and its blocks, in words.
    pub name: String,
    pub fading: Arc<AtomicBool>,
}

/// Opens the device that is wanted. The line's end goes to `back` when that fails, or when the device is closed.
///
/// # Errors
/// Why not, in words.
pub(super) fn open(
    wanted: &SoundSettings,
    around: &Surroundings,
    resting: Resting,
    back: &Sender<Resting>,
    trouble: &Sender<ErrorKind>,
) -> Result<Open, String> {
    let mut resting = Some(resting);
    let opened = try_to_open(wanted, around, &mut resting, back, trouble);
    // Where it was not taken on the way.
    if let Some(resting) = resting {
        let _ = back.try_send(resting);
    }
    opened
}

fn try_to_open(
    wanted: &SoundSettings,
    around: &Surroundings,
    resting: &mut Option<Resting>,
    back: &Sender<Resting>,
    trouble: &Sender<ErrorKind>,
) -> Result<Open, String> {
    let host = host(wanted)?;
    let device = find(&host, wanted)?;
    let usual = device.default_output_config().map_err(|error| said(&error))?;
    let frames = match *usual.buffer_size() {
        SupportedBufferSize::Range { min, max } if min <= max => BufferSize::Fixed(wanted.frames.clamp(min, max)),
        _ => BufferSize::Default,
    };
    let config = StreamConfig { buffer_size: frames, ..usual.config() };
    let rate = config.sample_rate;
    let mixer = Mixer::new(&wanted.timbre, rate, around.routing.gains())?;
    let Some(end) = resting.take() else { return Err("the line to it is lost".to_owned()) };
    let fading = Arc::new(AtomicBool::new(false));
    let of_session = (around.clock, Arc::clone(&around.routing), Arc::clone(&around.status));
    let callback = Callback::new(end.wake(mixer), of_session, Arc::clone(&fading), back.clone());
    // JACK's thread has its priority from JACK.
    let raised = wanted.through_jack;
    let stream = match usual.sample_format() {
        SampleFormat::F32 => stream::<f32>(&device, config, (callback, raised), around, trouble),
        SampleFormat::F64 => stream::<f64>(&device, config, (callback, raised), around, trouble),
        SampleFormat::I8 => stream::<i8>(&device, config, (callback, raised), around, trouble),
        SampleFormat::I16 => stream::<i16>(&device, config, (callback, raised), around, trouble),
        SampleFormat::I32 => stream::<i32>(&device, config, (callback, raised), around, trouble),
        SampleFormat::U8 => stream::<u8>(&device, config, (callback, raised), around, trouble),
        SampleFormat::U16 => stream::<u16>(&device, config, (callback, raised), around, trouble),
        other => return Err(format!("it takes samples of the form {other}, which are not made here")),
    };
    let stream = stream.map_err(|error| said(&error))?;
    stream.play().map_err(|error| said(&error))?;
    let frames = stream.buffer_size().unwrap_or(wanted.frames);
    let sound = &around.status.sound;
    sound.rate.store(rate, Relaxed);
    sound.frames.store(frames, Relaxed);
    let name = format!("{device}, {rate} Hz, {frames} frames a block");
    Ok(Open { _stream: stream, name, fading })
}

fn stream<T: SizedSample + FromSample<f32>>(
    device: &Device,
    config: StreamConfig,
    (mut callback, mut raised): (Callback, bool),
    around: &Surroundings,
    trouble: &Sender<ErrorKind>,
) -> Result<Stream, cpal::Error> {
    let channels = usize::from(config.channels);
    let (status, trouble) = (Arc::clone(&around.status), trouble.clone());
    device.build_output_stream(
        config,
        move |data: &mut [T], info: &OutputCallbackInfo| {
            if !std::mem::replace(&mut raised, true) {
                raise_sound();
            }
            let stamps = info.timestamp();
            callback.fill(data, channels, stamps.playback.saturating_duration_since(stamps.callback));
        },
        // Called where time is kept: nothing is said here.
        move |error| match error.kind() {
            ErrorKind::Xrun => {
                status.sound.dropouts.fetch_add(1, Relaxed);
            }
            ErrorKind::RealtimeDenied | ErrorKind::DeviceChanged => {}
            kind => {
                let _ = trouble.try_send(kind);
            }
        },
        None,
    )
}

#[cfg(feature = "jack")]
fn host(wanted: &SoundSettings) -> Result<Host, String> {
    if !wanted.through_jack {
        return Ok(cpal::default_host());
    }
    // JACK's library writes to the terminal by itself; our own sentence is enough.
    if let Err(error) = jack::jack_sys::library() {
        return Err(format!("JACK's library is missing ({error})"));
    }
    jack::set_logger(jack::LoggerType::None);
    cpal::host_from_id(cpal::HostId::Jack).map_err(|error| said(&error))
}

#[cfg(not(feature = "jack"))]
fn host(wanted: &SoundSettings) -> Result<Host, String> {
    if wanted.through_jack {
        return Err("this antiphon was built without JACK".to_owned());
    }
    Ok(cpal::default_host())
}

fn find(host: &Host, wanted: &SoundSettings) -> Result<Device, String> {
    let Some(name) = &wanted.device else {
        let missing = if wanted.through_jack { "no JACK server runs" } else { "there is no sound device" };
        return host.default_output_device().ok_or_else(|| missing.to_owned());
    };
    let devices: Vec<Device> = host.output_devices().map_err(|error| said(&error))?.collect();
    let names: Vec<[String; 2]> = devices
        .iter()
        .map(|device| [device.id().map(|id| id.id().to_owned()).unwrap_or_default(), device.to_string()])
        .collect();
    let fold = name.to_lowercase();
    let exact = names.iter().position(|names| names.contains(name));
    let part = || names.iter().position(|names| names.iter().any(|one| one.to_lowercase().contains(&fold)));
    match exact.or_else(part) {
        Some(place) => devices.into_iter().nth(place).ok_or_else(|| "it has just gone".to_owned()),
        None => {
            let there: Vec<String> = names.into_iter().map(|[id, name]| format!("{id} ({name})")).collect();
            let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
            Err(format!("no sound device is called {name:?}; there are: {there}"))
        }
    }
}

/// What went wrong, as a part of a sentence.
fn said(error: &cpal::Error) -> String {
    match error.kind() {
        ErrorKind::DeviceNotAvailable => "there is no sound device".to_owned(),
        ErrorKind::DeviceBusy => "another program holds the sound device".to_owned(),
        _ => error.to_string().trim_end_matches('.').to_owned(),
    }
}
