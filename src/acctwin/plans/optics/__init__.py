"""Beta functions."""
