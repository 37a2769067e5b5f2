"""Where steps run: `local`, in threads of this process."""
