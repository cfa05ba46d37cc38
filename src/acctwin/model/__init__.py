"""acctwin.model"""
