"""Evaluate one codec on one set of pictures: `python run.py loss=ssim quant=extreme`."""

from ganrev.app import main

if __name__ == "__main__":
    main()
