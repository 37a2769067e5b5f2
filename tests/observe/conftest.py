"""Property tests here prove arithmetic, not speed: no deadline on a busy machine."""

import hypothesis

hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")
