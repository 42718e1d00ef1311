"""The measured verdict: alternatives, pilot, forecast, money, decision."""
