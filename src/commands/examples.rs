//! The examples at the end of each `--help` and manual page. What stands behind a `#` is for people; the rest can be typed.

pub(super) const ANTIPHON: &str = "\
Examples:
  antiphon jam                            # listen on `Antiphon In`, answer on `Antiphon Out`
  antiphon jam --connect-from Keystation  # and attach to a keyboard
  antiphon jam --synth                    # hear it without a synth or a DAW
  antiphon monitor                        # watch and steer it from another terminal
  antiphon ports                          # what there is to attach to
  antiphon doctor                         # what is wrong here, and what mends it
  antiphon init                           # write a commented configuration file
  antiphon --check                        # what counts, and where it comes from";

pub(super) const JAM: &str = "\
Signals:
  INT, TERM, QUIT   end in order; a second one, at once
  HUP               read the configuration and the model anew; where the terminal has gone, end in order
  USR1              say how well it keeps time
  USR2              panic: silence everything, on every port, and wait for you

Examples:
  antiphon jam                                                     # ports of its own
  antiphon jam --connect-from Keystation --connect-to FLUID@-20ms  # attach; a slow synth
  antiphon jam --synth --set human-gain=0                          # hear Antiphon alone
  antiphon jam --mode accompany --style folk --temperature 1.1     # play along, wilder
  antiphon jam --controller auto                                   # known devices' knobs
  antiphon jam --map cc20=patience:0.5..3 --map cc66=hand-over     # a knob and a pedal
  antiphon jam --headless --seconds 600                            # play alone
  antiphon jam --input song.mid --virtual-time --seed 7            # the same notes again
  antiphon jam --http 0.0.0.0:7272 --osc                           # a phone may join
  antiphon jam --check --json                                      # what counts, for scripts";

pub(super) const MONITOR: &str = "\
Keys: h hand over, t take back, p panic, m mode, arrows change settings, ? all of them.

Examples:
  antiphon monitor                                 # the Antiphon of this machine
  antiphon monitor --name Left                     # the one that was started with --name Left
  antiphon monitor studio.local --token swordfish  # one of another machine
  antiphon monitor --once                          # how things stand, as text
  antiphon monitor --json | jq .event              # what happens, for scripts";

pub(super) const GENERATE: &str = "\
Examples:
  antiphon generate --seconds 60                                 # a minute of music from nothing
  antiphon generate --prime song.mid --notes 200 --out more.mid  # go on with a file
  antiphon generate --style folk --temperature 0.8 --seed 7      # safer, and the same each time";

pub(super) const REPLAY: &str = "\
Examples:
  antiphon replay AI_generated.session                                 # the same session again
  antiphon replay AI_generated.session --check                         # 9 unless it is the same
  antiphon replay AI_generated.session --model new.onnx --other-model  # with another model
  antiphon replay AI_generated.session --json                          # for scripts";

pub(super) const RENDER: &str = "\
All tracks, channels, programs, pedals, pitch bends and tempo changes count. The built-in instrument is an electric
piano with a few drums whatever the program.

Examples:
  antiphon render AI_generated.mid me-and-it.wav
  antiphon render AI_generated.mid it.wav --human-gain 0  # only what Antiphon played
  antiphon render song.mid song.wav --soundfont piano.sf2 --rate 44100 --format f32";

pub(super) const INIT: &str = "\
Examples:
  antiphon init                      # in your configuration folder
  antiphon init --config stage.toml  # elsewhere
  antiphon init --force              # write over the one that is there";

pub(super) const SETTINGS: &str = "\
Examples:
  antiphon settings        # with values, units and defaults
  antiphon settings --json | jq '.settings[].name'
  antiphon settings --osc  # the OSC addresses";

pub(super) const PORTS: &str = "\
Examples:
  antiphon ports
  antiphon ports --json | jq '.[].from'  # what --connect-from can name";

pub(super) const CONTROLLERS: &str = "\
Your own lie in the folder `controllers` beside your antiphon.toml, and go before those inside the program.

Examples:
  antiphon controllers                    # which devices have a map
  antiphon controllers korg-nanokontrol2  # the map itself, to begin one of your own
  antiphon controllers korg-nanokontrol2 --json";

pub(super) const MODEL: &str = "\
Examples:
  antiphon model                               # the one that `antiphon jam` plays
  antiphon model other.onnx --engine embedded  # another one, on this engine
  antiphon model --json | jq .styles";

pub(super) const DOCTOR: &str = "\
Examples:
  antiphon doctor  # exit code 12 when something is wrong
  antiphon doctor --model other.onnx
  antiphon doctor --json | jq '.findings[] | select(.state != \"ok\")'";

pub(super) const EVAL: &str = "\
Examples:
  antiphon eval models/antiphon.onnx songs                # beside the baselines
  antiphon eval models/antiphon.onnx songs --generate 20  # its continuations too
  antiphon eval models/antiphon.onnx songs --train more-songs --json";

pub(super) const COMPLETIONS: &str = "\
Examples:
  antiphon completions bash > ~/.local/share/bash-completion/completions/antiphon
  antiphon completions fish > ~/.config/fish/completions/antiphon.fish";

pub(super) const MAN: &str = "\
Examples:
  antiphon man ~/.local/share/man/man1 && man antiphon-jam";
