"""`python -m configs`: check the settings of this environment and print those that differ from their defaults."""

import sys

from configs.settings import Settings, SettingsError, load_settings


def main() -> int:
    """Print the settings that were changed, secrets hidden; exit code 2 and one line when one is impossible."""
    try:
        settings = load_settings()
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if value != field.default:
            print(f"{name.upper()}={value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
