"""What holds for every test."""

from hypothesis import settings

# A law holds on a busy machine too; tests that hang are pytest-timeout's matter.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
